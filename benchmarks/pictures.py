"""Draws the pictures of `peer top` for the docs, from a real swarm: `python -m benchmarks.pictures`."""

import os
import re
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI, TerminalTheme

from peer.local.processes import LocalPeer, LocalSwarm
from peer.watch.feed import Feed
from peer.watch.run import KEYS
from peer.watch.screen import screen
from peer.watch.seen import Seen

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
PEERS = 4
STEPS = 300
"""Inner steps before the picture is taken: enough for a curve."""

LOOKS = 1000

PAPER = TerminalTheme((255, 255, 255), (20, 20, 20), [(20, 20, 20)] * 8)


def main() -> None:
    """Train until there is something to see, and draw it at two sizes and in monochrome."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run.toml"
        run.write_text('name = "first flight"\ncodecs = ["auto"]\n', encoding="utf-8")
        swarm = LocalSwarm(Path(folder))
        try:
            founder = swarm.start(0, ["--run", str(run)])
            address = swarm.address_of(founder)
            for index in range(1, PEERS):
                swarm.start(index, ["--run", str(run), "--bootstrap", address])
            _wait(founder)
            with Feed(founder.home) as feed:
                draw(_busy(feed), PICTURES)
        finally:
            swarm.stop()


def _wait(peer: LocalPeer) -> None:
    while peer.running and (peer.status is None or peer.status.inner_step < STEPS):
        peer.refresh()
        time.sleep(1.0)


def _busy(feed: Feed) -> Seen:
    """Return a moment at which something is on its way, if there is one soon."""
    for _ in range(LOOKS):
        seen = feed.look()
        if seen.detail.transfers:
            break
        time.sleep(0.05)
    return seen


def draw(seen: Seen, folder: Path) -> None:
    """Write what a person sees in terminals of two sizes, and of one without colours."""
    shown = Seen(seen.detail, seen.events, keys=KEYS)
    _export(shown, 80, 24, folder / "top.svg", MONOKAI)
    _export(shown, 120, 40, folder / "top-large.svg", MONOKAI)
    _export(shown, 80, 24, folder / "top-monochrome.svg", PAPER)


def _export(seen: Seen, width: int, height: int, path: Path, theme: TerminalTheme) -> None:
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(
            record=True,
            width=width,
            height=height,
            file=nowhere,
            force_terminal=True,
            no_color=theme is PAPER,
        )
        for line in screen(seen, width, height):
            line.end = "\n"
            console.print(line)
        drawn = console.export_svg(title="peer top", theme=theme)
    # A page of the docs asks no other server for a font.
    drawn = re.sub(r"@font-face \{.*?\}\n", "", drawn, flags=re.DOTALL).replace("Fira Code, ", "")
    path.write_text(re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE), encoding="utf-8")
    print(path, file=sys.stderr)


if __name__ == "__main__":
    main()
