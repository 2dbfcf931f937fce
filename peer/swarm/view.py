"""The view: the live peers that this peer knows now."""

import random
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import trio

from peer.swarm.transport import Contact
from protocol.errors import ProtocolError
from protocol.records import PeerRecord, SignedRecord, open_record

MISSES_TO_DROP = 3
"""Missed answers in a row after which a peer is dropped: one is a hiccup, three are an absence."""

AVOIDED_FIRST = 10.0
AVOIDED_LONGEST = 600.0
"""Seconds without exchanges after one failed: doubling, so a peer that stalls on purpose costs little."""

SHUNNED = 3600.0
"""Seconds without exchanges with a peer whose state, all its own, was of no use to us."""

TORN_FOR = 600.0
"""Seconds for which a peer that fell silent counts as a sign of a partition."""

NEWEST = 0.3
"""What the newest answer counts for in a peer's round trip: a busy moment should not stand out."""

MOST_PEERS = 1024
"""Peers kept; the DHT finds others when they are needed."""

MOST_DEPARTED = 4096


@dataclass(slots=True)
class _Entry:
    record: PeerRecord
    sealed: SignedRecord
    answered: bool
    """It has answered us, or called us: word of mouth alone proves no life."""
    missed: int = 0
    round_trip: float | None = None
    busy_until: float = 0.0
    failures: int = 0
    """Exchanges with it that failed since the last one that did not."""
    avoided_until: float = 0.0
    shunned_until: float = 0.0


@dataclass(frozen=True, slots=True)
class ViewStatistics:
    """The view at this moment."""

    live: int
    unproved: int
    departed: int
    alone_seconds: float
    """Seconds since the last live peer was in view; 0 while one is."""


class View:
    """Live peers by PeerID, kept by signed records and by their answers.

    A record counts if it is well signed and newer than what is known; a peer counts as live once it
    has answered. It leaves by its own signed goodbye or after `MISSES_TO_DROP` missed answers, and then
    only a newer record (a sign of life since) brings it back.
    """

    def __init__(self, own_id: str, run_id: bytes, *, rng: random.Random) -> None:
        self._own_id = own_id
        self._run_id = run_id
        self.rng = rng
        self._entries: dict[str, _Entry] = {}
        self._departed: OrderedDict[str, int] = OrderedDict()
        self._silent: OrderedDict[str, float] = OrderedDict()
        self._alone_since = trio.current_time()
        self._changed = trio.Event()
        self._listeners: list[Callable[[str, str], None]] = []
        self.is_relayed: Callable[[str], bool] = lambda _: False
        """Whether we are connected to a peer through a relay alone."""

    def on_change(self, listener: Callable[[str, str], None]) -> None:
        """Call `listener(peer_id, what)` when a peer comes (`"seen"`) or goes (`"goodbye"`, `"silent"`)."""
        self._listeners.append(listener)

    def learn(self, sealed: SignedRecord) -> str | None:
        """Take in a record from anywhere.

        Returns:
            Its peer's id, or None where it told nothing new (our own, known, or of one who left since).

        Raises:
            ProtocolError: malformed, of another run, or badly signed.
        """
        record = open_record(sealed, self._run_id)
        if record.peer_id == self._own_id:
            return None
        if record.sequence <= self._known_sequence(record.peer_id):
            return None
        if record.goodbye:
            self._depart(record.peer_id, record.sequence, "goodbye")
            return None
        entry = self._entries.get(record.peer_id)
        if entry is not None:
            entry.record, entry.sealed = record, sealed
        elif self._make_room():
            self._departed.pop(record.peer_id, None)
            self._entries[record.peer_id] = _Entry(record, sealed, answered=False)
        else:
            return None
        return record.peer_id

    def _make_room(self) -> bool:
        """Let word of mouth push out other word of mouth, never a peer that has answered."""
        if len(self._entries) < MOST_PEERS:
            return True
        unproved = next((peer_id for peer_id, entry in self._entries.items() if not entry.answered), None)
        if unproved is None:
            return False
        del self._entries[unproved]
        return True

    def learn_all(self, records: Iterable[SignedRecord]) -> list[str]:
        """Take in what another peer passes on; a bad record among them spoils only itself."""
        learned: list[str] = []
        for sealed in records:
            try:
                peer_id = self.learn(sealed)
            except ProtocolError:
                continue
            if peer_id is not None:
                learned.append(peer_id)
        return learned

    def answered(self, peer_id: str) -> None:
        """Note a sign of life."""
        entry = self._entries.get(peer_id)
        if entry is None:
            return
        entry.missed = 0
        if not entry.answered:
            entry.answered = True
            self._silent.pop(peer_id, None)
            self._tell(peer_id, "seen")

    def timed(self, peer_id: str, seconds: float) -> None:
        """Note how long a peer took to answer what needs no thought."""
        if entry := self._entries.get(peer_id):
            known = entry.round_trip
            entry.round_trip = seconds if known is None else known + NEWEST * (seconds - known)

    def round_trip(self, peer_id: str) -> float | None:
        """Return how many seconds a peer's last answers took, or None where none was timed."""
        entry = self._entries.get(peer_id)
        return entry.round_trip if entry else None

    def missed(self, peer_id: str) -> None:
        """Note a missed answer; the third in a row drops the peer."""
        entry = self._entries.get(peer_id)
        if entry is None:
            return
        entry.missed += 1
        if entry.missed >= MISSES_TO_DROP:
            self._depart(peer_id, entry.record.sequence, "silent")

    def busy(self, peer_id: str, seconds: float) -> None:
        """Leave a peer out of the draw for a while, as it asked."""
        if entry := self._entries.get(peer_id):
            entry.busy_until = trio.current_time() + seconds

    def exchanged(self, peer_id: str, *, well: bool) -> None:
        """Note how an exchange with a peer ended. After a failure it is avoided, each time for longer."""
        entry = self._entries.get(peer_id)
        if entry is None:
            return
        if well:
            entry.failures = 0
            return
        pause = min(AVOIDED_FIRST * 2**entry.failures, AVOIDED_LONGEST)
        entry.failures += 1
        entry.avoided_until = trio.current_time() + pause
        entry.busy_until = max(entry.busy_until, entry.avoided_until)

    def shun(self, peer_id: str) -> None:
        """Avoid a peer for long, whatever is forgiven meanwhile: what it gave was worthless."""
        if entry := self._entries.get(peer_id):
            entry.shunned_until = entry.avoided_until = entry.busy_until = trio.current_time() + SHUNNED

    def forgive(self) -> None:
        """Avoid nobody any more but those who are shunned: for our own fault exchanges failed."""
        for entry in self._entries.values():
            entry.failures, entry.avoided_until = 0, entry.shunned_until
            entry.busy_until = entry.shunned_until

    def avoided(self, peer_id: str) -> float:
        """Return for how many more seconds a peer is avoided; 0 where it is not."""
        entry = self._entries.get(peer_id)
        return max(entry.avoided_until - trio.current_time(), 0.0) if entry else 0.0

    def draw(self, excluding: Iterable[str] = ()) -> Contact | None:
        """Return a live peer uniformly at random, or None where none is free.

        Peers behind relays are drawn where nobody else is free: relays carry little.
        """
        out, now = set(excluding), trio.current_time()
        free = [
            entry
            for peer_id, entry in self._entries.items()
            if entry.answered and not entry.missed and entry.busy_until <= now and peer_id not in out
        ]
        direct = [entry for entry in free if not self.is_relayed(entry.record.peer_id)]
        return _contact(self.rng.choice(direct or free).record) if free else None

    def next_free(self, excluding: Iterable[str] = ()) -> float | None:
        """Return when (trio's clock) the first busy live peer is free again, or None without any."""
        out = set(excluding)
        times = [
            entry.busy_until
            for peer_id, entry in self._entries.items()
            if entry.answered and not entry.missed and peer_id not in out
        ]
        return min(times, default=None)

    def live(self) -> list[Contact]:
        """Return the peers that have answered."""
        return [_contact(entry.record) for entry in self._entries.values() if entry.answered]

    def willing(self) -> list[Contact]:
        """Return the peers that have answered, but those that owe an answer or are avoided."""
        now = trio.current_time()
        return [
            _contact(entry.record)
            for entry in self._entries.values()
            if entry.answered and not entry.missed and entry.avoided_until <= now
        ]

    def relays(self) -> list[Contact]:
        """Return the peers that have answered and offer to be relays, in random order."""
        offering = [entry for entry in self._entries.values() if entry.answered and entry.record.relay]
        return [_contact(entry.record) for entry in self.rng.sample(offering, len(offering))]

    def records(self, peer_ids: Iterable[str]) -> list[SignedRecord]:
        """Return the records of those of the peers that are known."""
        return [entry.sealed for peer_id in peer_ids if (entry := self._entries.get(peer_id))]

    def known(self) -> list[Contact]:
        """Return every peer with a good record, proved alive or not."""
        return [_contact(entry.record) for entry in self._entries.values()]

    def contact(self, peer_id: str) -> Contact | None:
        """Return how to reach a peer, if it is known."""
        entry = self._entries.get(peer_id)
        return _contact(entry.record) if entry else None

    def shards(self) -> set[int]:
        """Return the shards of the data that known peers read."""
        return {entry.record.shard for entry in self._entries.values()}

    def outer_steps(self) -> dict[str, int]:
        """Return how far live peers say that they have come: those that were not away, where they count."""
        here, away = self._claims(away=False), self._claims(away=True)
        return here if _count_alone(here, away) else here | away

    def of_those_here(self) -> dict[str, int]:
        """Return how far those say that they have come who say that they were not away, however few."""
        return self._claims(away=False)

    def others_were_here(self) -> bool:
        """Whether of the live peers that have begun enough say that they were not away."""
        return _count_alone(self._claims(away=False), self._claims(away=True))

    def _claims(self, *, away: bool) -> dict[str, int]:
        return {
            peer_id: entry.record.outer_step
            for peer_id, entry in self._entries.items()
            if entry.answered and entry.record.outer_step is not None and entry.record.away is away
        }

    def sample(self, count: int) -> list[SignedRecord]:
        """Return a random draw of live peers' records, to pass on."""
        live = [entry.sealed for entry in self._entries.values() if entry.answered]
        return self.rng.sample(live, min(count, len(live)))

    async def wait_change(self) -> None:
        """Wait until a peer comes or goes."""
        await self._changed.wait()

    def torn(self) -> bool:
        """Whether of those in view a good part has lately fallen silent: our line, or a partition."""
        now = trio.current_time()
        lost = sum(now - at < TORN_FOR for at in self._silent.values())
        return 2 * lost >= max(sum(entry.answered for entry in self._entries.values()), 1)

    def _known_sequence(self, peer_id: str) -> int:
        entry = self._entries.get(peer_id)
        return entry.record.sequence if entry else self._departed.get(peer_id, -1)

    def _depart(self, peer_id: str, sequence: int, why: str) -> None:
        entry = self._entries.pop(peer_id, None)
        self._departed[peer_id] = sequence
        self._departed.move_to_end(peer_id)
        while len(self._departed) > MOST_DEPARTED:
            self._departed.popitem(last=False)
        if entry is not None and entry.answered:
            if why == "silent":
                self._silent[peer_id] = trio.current_time()
                while len(self._silent) > MOST_PEERS:
                    self._silent.popitem(last=False)
            self._tell(peer_id, why)

    def _tell(self, peer_id: str, what: str) -> None:
        # Only the moment at which the last live peer left is ever read.
        self._alone_since = trio.current_time()
        event, self._changed = self._changed, trio.Event()
        event.set()
        for listener in self._listeners:
            listener(peer_id, what)

    def statistics(self) -> ViewStatistics:
        """Gauges at this moment."""
        live = sum(entry.answered for entry in self._entries.values())
        return ViewStatistics(
            live=live,
            unproved=len(self._entries) - live,
            departed=len(self._departed),
            alone_seconds=0.0 if live else trio.current_time() - self._alone_since,
        )


def _count_alone(here: Collection[str], away: Collection[str]) -> bool:
    """Whether those who were not away speak for the swarm: where all pause at once, one stranger does not."""
    return len(here) >= max(len(away), 1)


def _contact(record: PeerRecord) -> Contact:
    return Contact(record.peer_id, record.addresses)
