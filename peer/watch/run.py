"""`peer top` from its first look to its last."""

import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec

from peer.watch.feed import EndedError, Feed
from peer.watch.plain import Plain, summary
from peer.watch.screen import screen
from peer.watch.seen import Seen
from peer.watch.terminal import QUIT, Terminal, glyphs_of, is_for_screens, make_console

REFRESH = 1.0
"""Seconds between two looks."""

KEYS = "q quit"


def watch(home: Path, *, plain: bool) -> None:
    """Show the daemon of a home until it ends or the person has seen enough.

    Raises:
        NotRunningError: no daemon runs in the home.
        KeyboardInterrupt: Ctrl-C; the terminal is as it was.
    """
    with Feed(home) as feed:
        try:
            if plain or not is_for_screens():
                _print_changes(feed)
            else:
                _redraw(feed)
        except EndedError as end:
            print(f"peer top: {end}")


def watch_once(home: Path, *, plain: bool) -> None:
    """Print one look. Raises as `watch`."""
    with Feed(home) as feed:
        seen = feed.look()
    if plain:
        _say(summary(seen))
        return
    console = make_console()
    for line in screen(seen, console.width, console.height, glyphs_of(console)):
        line.end = "\n"
        line.rstrip()
        console.print(line)


def watch_as_json(home: Path) -> None:
    """Print one look as one JSON object. Raises as `watch`."""
    with Feed(home) as feed:
        sys.stdout.write(msgspec.json.encode(feed.look().detail).decode() + "\n")


def _print_changes(feed: Feed) -> None:
    plain = Plain()
    while True:
        _say(plain.lines(feed.look()))
        time.sleep(REFRESH)


def _say(lines: list[str]) -> None:
    encoding = sys.stdout.encoding or "ascii"
    for line in lines:
        print(line.encode(encoding, "replace").decode(encoding), flush=True)


def _redraw(feed: Feed) -> None:
    with Terminal.open() as terminal:
        seen, due = feed.look(), time.monotonic() + REFRESH
        while True:
            _draw(terminal, seen)
            if QUIT in terminal.wait(max(due - time.monotonic(), 0.0)):
                return
            if time.monotonic() >= due:
                seen, due = feed.look(), time.monotonic() + REFRESH


def _draw(terminal: Terminal, seen: Seen) -> None:
    columns, rows = terminal.size
    terminal.draw(screen(replace(seen, keys=KEYS), columns, rows, terminal.glyphs))
