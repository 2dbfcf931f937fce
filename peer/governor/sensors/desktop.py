"""Sessions of people on this machine, and since when each is idle, as logind, GNOME and X11 tell."""

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from peer.governor.sensors.commands import Command
from peer.programs import python

GRAPHICAL = ("x11", "wayland", "mir")

_WANTED = ("Id", "Type", "Class", "State", "Remote", "LockedHint", "IdleHint", "IdleSinceHint")


@dataclass(frozen=True, slots=True)
class Session:
    """A session at a screen of this machine."""

    name: str
    idle: float
    """Seconds, as logind has it: infinite where the screen is locked, 0 where nobody says that it is idle."""


class Logind:
    """Reads the sessions at screens."""

    def __init__(self) -> None:
        self._names = Command("loginctl", "list-sessions", "--no-legend")
        self._facts = Command("loginctl", "show-session", *(f"--property={name}" for name in _WANTED))

    def sessions(self, now: float) -> list[Session]:
        """Return those that are in use; `now` is in seconds since 1970."""
        names = [line.split()[0] for line in (self._names.ask() or "").splitlines() if line.split()]
        told = self._facts.ask(*names) if names else None
        return [session for block in (told or "").split("\n\n") if (session := parse_session(block, now))]


def parse_session(block: str, now: float) -> Session | None:
    """Return what `loginctl show-session` says of one; None where it is at no screen, or not in use."""
    facts = dict(line.partition("=")[::2] for line in block.strip().splitlines())
    at_screen = (
        facts.get("Type") in GRAPHICAL and facts.get("Class") == "user" and facts.get("Remote") == "no"
    )
    if not at_screen or facts.get("State") != "active":
        return None
    idle = 0.0
    if facts.get("LockedHint") == "yes":
        idle = math.inf
    elif facts.get("IdleHint") == "yes" and facts.get("IdleSinceHint", "").isdecimal():
        idle = max(now - int(facts["IdleSinceHint"]) / 1e6, 0.0)
    return Session(facts.get("Id", ""), idle)


def gnome() -> Command:
    """Return the question for GNOME's own clock, on X11 and Wayland; its answer is in milliseconds."""
    monitor = "org.gnome.Mutter.IdleMonitor"
    return Command(
        "busctl", "--user", "call", monitor, "/org/gnome/Mutter/IdleMonitor/Core", monitor, "GetIdletime"
    )


def x11() -> Command:
    """Return the question for X11's clock. In a process of its own: Xlib ends its process when X goes."""
    return Command(*python("peer.governor.sensors.x11_idle"))


def milliseconds(said: str | None) -> float | None:
    """Return the seconds that an answer in milliseconds means: the last number in it."""
    numbers = re.findall(r"\d+", said or "")
    return int(numbers[-1]) / 1000 if numbers else None


class Desktop:
    """Reads since when the desktops of this machine are idle: by the finest clock that there is."""

    def __init__(
        self,
        environment: Mapping[str, str],
        logind: Logind | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._logind = logind or Logind()
        self._now = now
        self._known: frozenset[str] = frozenset()
        # Under Wayland X11 hears only of what goes on in its own windows.
        has_x11 = bool(environment.get("DISPLAY")) and not environment.get("WAYLAND_DISPLAY")
        self._clocks = [gnome(), *([x11()] if has_x11 else [])]

    def idle(self) -> float | None:
        """Return seconds, or None where nobody is at a screen that we know of."""
        sessions = self._logind.sessions(self._now())
        names = frozenset(session.name for session in sessions)
        if names - self._known:
            for clock in self._clocks:
                clock.try_again()
        self._known = names
        told = [seconds for clock in self._clocks if (seconds := milliseconds(clock.ask())) is not None]
        return min([*told[:1]] or [session.idle for session in sessions], default=None)
