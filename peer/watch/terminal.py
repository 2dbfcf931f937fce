"""The terminal while `peer top` has it: a screen to draw on, keys, its size, and its state given back."""

import curses
import os
import select
import signal
import socket
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Self

from rich.console import Console, ConsoleDimensions
from rich.live import Live
from rich.text import Text

from peer.watch.lines import ASCII, UNICODE, Glyphs

QUIT = "q"

SignalHandler = Callable[[int, FrameType | None], Any] | int | None


class Terminal:
    """Draws whole screens and reads keys. Make one with `open`."""

    def __init__(self, console: Console, wake: socket.socket) -> None:
        self._console = console
        self._wake = wake
        self._live: Live | None = None
        self._keys = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._before: list[object] = termios.tcgetattr(self._keys) if self._keys is not None else []
        self._suspend = False

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Self]:
        """Take the terminal, and give it back as it was, however this ends."""
        ours, wakes = socket.socketpair()
        with ours, wakes:
            for end in (ours, wakes):
                end.setblocking(False)  # noqa: FBT003 - it takes no name
            terminal = cls(make_console(), ours)
            before = signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
            handlers = terminal._handle_signals()
            terminal._enter()
            try:
                yield terminal
            finally:
                terminal._leave()
                for number, handler in handlers.items():
                    signal.signal(number, handler)
                signal.set_wakeup_fd(before)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows, as they are now."""
        # Not what COLUMNS says, which a shell may have exported long ago.
        with suppress(OSError):
            found = os.get_terminal_size(sys.stdout.fileno())
            return found.columns, found.lines
        return 80, 24

    @property
    def glyphs(self) -> Glyphs:
        """What it can show."""
        return glyphs_of(self._console)

    def draw(self, lines: list[Text]) -> None:
        """Replace the screen."""
        if self._live is not None:
            self._console.size = ConsoleDimensions(*self.size)
            self._live.update(Text("\n").join(lines), refresh=True)

    def wait(self, seconds: float) -> str:
        """Return the keys that are pressed within so many seconds, at once; none where the size changes."""
        watched = [self._wake, *([self._keys] if self._keys is not None else [])]
        ready, _, _ = select.select(watched, [], [], seconds)
        if self._wake in ready:
            with suppress(BlockingIOError):
                self._wake.recv(4096)
        if self._suspend:
            self._stop_for_a_while()
        if self._keys is None or self._keys not in ready:
            return ""
        pressed = os.read(self._keys, 64)
        if not pressed:
            return QUIT  # the terminal is gone
        # An arrow and its like: a sequence that begins with escape and may end in any letter.
        return "" if pressed.startswith(b"\x1b") else pressed.decode("ascii", "ignore")

    def _handle_signals(self) -> dict[signal.Signals, SignalHandler]:
        def resize(number: int, frame: FrameType | None) -> None:
            del number, frame

        def suspend(number: int, frame: FrameType | None) -> None:
            del number, frame
            self._suspend = True

        def leave(number: int, frame: FrameType | None) -> None:
            del number, frame
            raise KeyboardInterrupt

        chosen = {
            signal.SIGWINCH: resize,
            signal.SIGTSTP: suspend,
            signal.SIGTERM: leave,
            signal.SIGHUP: leave,
        }
        return {number: signal.signal(number, handler) for number, handler in chosen.items()}

    def _stop_for_a_while(self) -> None:
        """Give the terminal to the shell, as Ctrl-Z asks, until we are in the foreground again."""
        self._suspend = False
        self._leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._enter()

    def _enter(self) -> None:
        if self._keys is not None:
            tty.setcbreak(self._keys)
        self._live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def _leave(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._keys is not None:
            termios.tcsetattr(self._keys, termios.TCSADRAIN, self._before)  # type: ignore[arg-type]


def make_console() -> Console:
    """Return a console in the colours that the terminal has: rich takes a VT100 for a coloured one."""
    console = Console(highlight=False, markup=False)
    return Console(highlight=False, markup=False, no_color=True) if not _coloured() else console


def glyphs_of(console: Console) -> Glyphs:
    """Return what a console can show. The console of Linux has no braille."""
    plain = not console.encoding.lower().startswith("utf") or os.environ.get("TERM") == "linux"
    return ASCII if plain else UNICODE


def is_for_screens() -> bool:
    """Whether standard output is a terminal whose cursor can be moved."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown", ""}


def _coloured() -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    try:
        curses.setupterm(fd=sys.__stdout__.fileno() if sys.__stdout__ else 1)
        return curses.tigetnum("colors") >= 8
    except (curses.error, OSError, ValueError):
        return True
