"""A donor's guests: who may pull which captured state, and for how long. The bounds hold for each of them."""

from dataclasses import dataclass, field

import trio

from protocol.messages import ObjectRef

PLACES = 4
"""Newcomers served in `LINGER` seconds; more would slow each other and the donor's own exchanges."""

LINGER = 60.0
"""Seconds without a read after which a guest is taken to have what it wants; also for how long its place is
its own, and for how long one that was too slow waits."""

GRACE = 60.0
"""Seconds that a guest has beyond what its pace is measured by."""

SLOWEST = 50_000
"""Bytes a second at which the whole of a state has to be read."""

DRIP = 10_000
"""Bytes a second below which a guest is left much sooner: one that sips, or whose line is of no use here. A
slow newcomer reads of four donors at once, a quarter of its line from each."""

MOST_READ = 2
"""Times that a guest may read the whole: lanes that break cost some of it again."""


def longest_hold(size: int) -> float:
    """Return for how many seconds an object of `size` bytes is there for one who pulls it."""
    return GRACE + size / SLOWEST


@dataclass(slots=True)
class _Guest:
    """Somebody to whom a state was promised."""

    state: ObjectRef
    came: float
    """Since when it has its place."""
    since: float = field(default_factory=trio.current_time)
    last: float = field(default_factory=trio.current_time)
    read: int = 0

    @property
    def too_slow_at(self) -> float:
        """When it has been too slow: every byte buys some time, until its time is up for good."""
        return self.since + min(GRACE + self.read / DRIP, longest_hold(self.state.size))

    @property
    def until(self) -> float:
        """For how long it is served."""
        return min(self.too_slow_at, self.last + LINGER)

    @property
    def barred(self) -> bool:
        """Whether it has been too slow, not long ago, rather than silent because it had what it wanted."""
        was_at_it = self.read < self.state.size and self.too_slow_at <= self.last + LINGER
        return was_at_it and self.too_slow_at <= trio.current_time() < self.too_slow_at + LINGER


class Guests:
    """Keeps the time of each guest. One has one place and one state, whatever it asks for."""

    def __init__(self) -> None:
        self._guests: dict[str, _Guest] = {}

    def promised(self, peer_id: str) -> bytes | None:
        """Return the name of the state that a guest may go on with; its time runs on."""
        guest = self._guests.get(peer_id)
        return guest.state.sha256 if guest is not None and guest.until > trio.current_time() else None

    def admits(self, peer_id: str) -> bool:
        """Say whether there is a place for a peer to which nothing is promised now."""
        now = trio.current_time()
        self._guests = {
            name: guest
            for name, guest in self._guests.items()
            if guest.until > now or guest.barred or guest.came + LINGER > now
        }
        own = self._guests.get(peer_id)
        if own is not None and own.barred:
            return False
        others = (guest for name, guest in self._guests.items() if name != peer_id)
        return sum(guest.came + LINGER > now for guest in others) < PLACES

    def promise(self, peer_id: str, state: ObjectRef) -> None:
        """Let a peer that is admitted read a state from now on."""
        now, known = trio.current_time(), self._guests.get(peer_id)
        came = known.came if known is not None and known.came + LINGER > now else now
        self._guests[peer_id] = _Guest(state, came)

    def may_read(self, peer_id: str, state: ObjectRef, length: int) -> bool:
        """Say whether a peer may read so much of a state now, and note that it does."""
        now, guest = trio.current_time(), self._guests.get(peer_id)
        if guest is None or guest.state != state or guest.until <= now:
            return False
        if guest.read + length > MOST_READ * state.size:
            return False
        guest.last = now
        guest.read += length
        return True

    def dismiss(self, state: ObjectRef) -> None:
        """End the time of those who still read a state. They may ask for another, as anybody may."""
        now = trio.current_time()
        self._guests = {
            name: guest for name, guest in self._guests.items() if guest.state != state or guest.until <= now
        }

    def hold_until(self, state: ObjectRef) -> float:
        """Return until when a state has to stay, as far as is known now."""
        return max((guest.until for guest in self._guests.values() if guest.state == state), default=0.0)
