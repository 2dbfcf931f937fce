"""How far we see: the size of the swarm as neighbours tell it, and whether a peer is of another half."""

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from statistics import median_low

import trio

from protocol.sketch import Sketch, estimate, hash_of, smallest

HEARD_FOR = 60.0
"""Seconds for which a neighbour's sketch counts: some heartbeats."""

MOST_HEARD = 64

GROUPS = 5
"""Groups of neighbours, each of which estimates the size on its own; the median counts. Whoever names hashes
that nobody has spoils the estimate of one group. A group hears of a part of a large swarm only: of a thousand
peers, of which each knows 64, about half."""

SEEN_WELL = 2
"""A side is judged where we know at least one in so many of it: of a large swarm two peers may know different
parts, and nothing is wrong."""

TOLD_AGAIN = 60.0
"""Seconds after which a split is told again."""


@dataclass(frozen=True, slots=True)
class Split:
    """Two halves of one run that do not know each other.

    Attributes:
        peer: who is of the other half.
        ours: peers of our half, ourselves included.
        theirs: peers of the other.
    """

    peer: str
    ours: int
    theirs: int


@dataclass(frozen=True, slots=True)
class HorizonStatistics:
    """What is seen.

    Attributes:
        size: peers of the run, ourselves included, as far as neighbours tell.
        splits: how often another half was noticed.
    """

    size: int = 1
    splits: int = 0


class Horizon:
    """Makes our sketch, takes in those of others, and compares.

    Args:
        own_id: our PeerID.
        live: reads the PeerIDs of those that have answered us.
    """

    def __init__(self, own_id: str, live: Callable[[], Collection[str]]) -> None:
        self._own_id = own_id
        self._live = live
        self._heard: OrderedDict[str, tuple[float, Sketch]] = OrderedDict()
        self._splits = 0
        self._told_at = float("-inf")

    def sketch(self) -> Sketch:
        """Return what our heartbeats carry. It holds who has answered us, never what is hearsay."""
        known = self._known()
        return Sketch(known=len(known), size=max(self._size(known), len(known)), hashes=smallest(known))

    def hear(self, peer_id: str, theirs: Sketch | None) -> Split | None:
        """Take in a peer's sketch; return the split that it shows, if it does and was not told lately."""
        if theirs is None:
            return None
        split = self._compare(peer_id, theirs)
        self._heard.pop(peer_id, None)
        self._heard[peer_id] = (trio.current_time(), theirs)
        while len(self._heard) > MOST_HEARD:
            self._heard.popitem(last=False)
        if split is None or trio.current_time() - self._told_at < TOLD_AGAIN:
            return None
        self._told_at = trio.current_time()
        self._splits += 1
        return split

    def _compare(self, peer_id: str, theirs: Sketch) -> Split | None:
        both = {hash_of(self._own_id), hash_of(peer_id)}
        others = {hash_of(each) for each in self._live()} - both
        ours = {*others, *self._neighbours(peer_id)} - both
        their_others = set(theirs.hashes) - both
        if not others or not their_others or ours & their_others:
            return None
        own = {hash_of(self._own_id), *others}
        own_size = max(self._size(own, peer_id), len(own))
        well = own_size <= SEEN_WELL * len(own) and theirs.size <= SEEN_WELL * theirs.known
        return Split(peer_id, own_size, theirs.size) if well else None

    def _known(self) -> set[int]:
        return {hash_of(peer_id) for peer_id in (self._own_id, *self._live())}

    def _lately(self, excluding: str) -> dict[str, Sketch]:
        now = trio.current_time()
        return {
            peer_id: sketch
            for peer_id, (at, sketch) in self._heard.items()
            if peer_id != excluding and now - at <= HEARD_FOR
        }

    def _neighbours(self, excluding: str) -> set[int]:
        return {each for sketch in self._lately(excluding).values() for each in sketch.hashes}

    def _size(self, own: set[int], excluding: str = "") -> int:
        """Return the size of a side, of which we know `own`; never less than that."""
        groups: dict[int, set[int]] = {}
        for peer_id, sketch in self._lately(excluding).items():
            groups.setdefault(hash_of(peer_id) % GROUPS, set(own)).update(sketch.hashes)
        return median_low([estimate(group) for group in groups.values()] or [estimate(own)])

    def statistics(self) -> HorizonStatistics:
        """Say what is seen at this moment."""
        return HorizonStatistics(size=self._size(self._known()), splits=self._splits)
