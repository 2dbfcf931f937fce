"""Hysteresis: a pause begins once its reason has lasted, and ends once that has been away for a while."""

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.control import Pause, PauseKind


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a reason must last before a pause begins, and be away before it ends."""

    lasts: float = 0.0
    away: float = 0.0


PATIENCE: dict[PauseKind, Patience] = {
    # A window that opens takes the GPU for a second; who works with it looks away for half a minute.
    "gpu": Patience(4, 60),
    # Training itself makes heat and draws power: without a long rest it would start and stop for ever.
    "temperature": Patience(4, 60),
    "power": Patience(9, 60),
    "memory": Patience(9, 60),
    # A plug that is being moved.
    "battery": Patience(0, 15),
}
"""The others begin and end at once: hours, a person's idleness (a time by itself), and used-up caps."""

SOON = 600.0
"""Seconds after its end within which a pause that comes again shows that the rest was too short."""

LONGEST = 960.0
"""Seconds that a reason must be away at the most, however often it has come again."""

FIGURES = ("temperature", "power", "memory", "disk")
"""Kinds whose reasons hold a figure that moves: the first one stays, or each reading would be news."""


@dataclass(slots=True)
class _Kind:
    since: float | None = None
    """Since when its reason has lasted without a gap."""
    seen: float = 0.0
    """When the reason was there last."""
    pause: Pause | None = None
    ended: float = float("-inf")
    away: float = 0.0


class Holding:
    """Turns what is wanted at each look into the pauses that hold. Time is given, in seconds of any clock."""

    def __init__(self) -> None:
        self._kinds: dict[PauseKind, _Kind] = {}

    @property
    def held(self) -> frozenset[PauseKind]:
        """The kinds that pause now."""
        return frozenset(name for name, kind in self._kinds.items() if kind.pause is not None)

    def update(
        self, wanted: Mapping[PauseKind, str], *, at: float, wall: float, at_once: bool = False
    ) -> tuple[Pause, ...]:
        """Take in a look, and return the pauses that hold, in the order of `wanted`, then the others.

        Args:
            wanted: the reason of each kind.
            at: seconds of a clock that never goes back.
            wall: seconds since 1970, for people.
            at_once: wait for nothing: this is the first look, or other limits are in force.
        """
        for name, reason in wanted.items():
            self._wants(name, reason, at, wall, at_once=at_once)
        for name, kind in self._kinds.items():
            if name not in wanted:
                kind.since = None
                if kind.pause is not None and (at_once or at - kind.seen >= kind.away):
                    kind.pause, kind.ended = None, at
        order = [*wanted, *(name for name in self._kinds if name not in wanted)]
        return tuple(pause for name in order if (pause := self._kinds[name].pause) is not None)

    def _wants(self, name: PauseKind, reason: str, at: float, wall: float, *, at_once: bool) -> None:
        kind = self._kinds.setdefault(name, _Kind())
        kind.seen = at
        if kind.since is None:
            kind.since = at
        if kind.pause is not None:
            if name not in FIGURES:
                kind.pause = Pause(kind=name, reason=reason, since=kind.pause.since)
            return
        patience = PATIENCE.get(name, Patience())
        if at_once or at - kind.since >= patience.lasts:
            soon = at - kind.ended < SOON
            kind.away = min(2 * kind.away, LONGEST) if soon and kind.away else patience.away
            kind.pause = Pause(kind=name, reason=reason, since=wall)
