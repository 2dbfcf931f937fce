"""The links that volunteers have, as data. Rates are in bytes a second, times in seconds."""

import math
from dataclasses import dataclass, replace

MBIT = 125_000
"""Bytes a second of 1 Mbit/s."""

WINDOW = 2_560_000
"""Bytes that one TCP connection keeps in flight. Linux bounds its send buffer at 4 MiB (tcp_wmem) and counts
its own overhead in: over a real path of 100 ms one connection moved 23.7 to 25.5 MB/s."""


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of a link."""

    delay: float = 0.0
    """That every byte travels."""
    rate: float = math.inf
    """Bytes a second, for all connections together."""
    jitter: float = 0.0
    """The most that is added to the delay, evenly drawn; the order is kept."""
    loss: float = 0.0
    """The chance that a burst (`shaper.BURST`) is lost and comes a retransmission time-out late."""
    queue: float = 0.05
    """What may wait at the bottleneck, in seconds at its rate; beyond that, senders wait."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link as the one who calls over it sees it."""

    name: str
    up: Way
    """From the caller."""
    down: Way
    """To the caller."""
    window: int = WINDOW
    """Bytes that one connection keeps in flight, each way."""
    slow_start: bool = True
    """Whether a connection that is new, or was idle for a second, begins with ten segments, as TCP does."""

    @property
    def round_trip(self) -> float:
        """Seconds there and back, without queue and jitter."""
        return self.up.delay + self.down.delay

    def turned(self) -> "Link":
        """Return the link as the one who is called sees it: its way up is the caller's way down."""
        return replace(self, up=self.down, down=self.up)


def even(name: str, round_trip: float, rate: float, *, slow_start: bool = True) -> Link:
    """Return a link that is the same both ways, without jitter or loss."""
    way = Way(delay=round_trip / 2, rate=rate)
    return Link(name, way, way, slow_start=slow_start)


LADDER = {
    link.name: link
    for link in (
        Link("fibre", Way(0.004, 500 * MBIT), Way(0.004, 1000 * MBIT)),
        Link("cable", Way(0.010, 20 * MBIT, jitter=0.004), Way(0.010, 200 * MBIT, jitter=0.004)),
        Link("wifi-good", Way(0.003, 100 * MBIT, jitter=0.004), Way(0.003, 150 * MBIT, jitter=0.004)),
        Link(
            "wifi-bad",
            Way(0.010, 8 * MBIT, jitter=0.040, loss=0.005, queue=0.2),
            Way(0.010, 15 * MBIT, jitter=0.040, loss=0.005, queue=0.2),
        ),
        Link(
            "4g",
            Way(0.030, 10 * MBIT, jitter=0.020, loss=0.001, queue=0.3),
            Way(0.030, 40 * MBIT, jitter=0.020, loss=0.001, queue=0.3),
        ),
        Link(
            "satellite",
            Way(0.300, 3 * MBIT, jitter=0.010, loss=0.001, queue=0.5),
            Way(0.300, 25 * MBIT, jitter=0.010, loss=0.001, queue=0.5),
        ),
        Link("intercontinental", Way(0.090, 500 * MBIT), Way(0.090, 500 * MBIT)),
    )
}
"""As a home behind them sees them, the best first."""
