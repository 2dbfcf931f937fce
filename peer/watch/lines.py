"""Lines of styled text that fit: what a terminal shows of a stranger's words is cleaned and cut here."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from peer.telemetry.format import printable


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Characters that a terminal can show."""

    rule: str = "─"
    full: str = "█"
    empty: str = "░"
    more: str = "…"
    coming: str = "←"
    going: str = "→"
    ascii_only: bool = False


UNICODE = Glyphs()
ASCII = Glyphs(rule="-", full="#", empty="-", more="~", coming="<", going=">", ascii_only=True)


def fit(words: str, width: int, glyphs: Glyphs, *, right: bool = False) -> str:
    """Return one line of exactly `width` cells, safe to print: filled, or cut with a sign of that."""
    clean = printable(words)
    if glyphs.ascii_only:
        clean = clean.encode("ascii", "replace").decode("ascii")
    if cell_len(clean) > width:
        clean = set_cell_size(clean, max(width - 1, 0)) + glyphs.more[:width]
    space = " " * (width - cell_len(clean))
    return space + clean if right else clean + space


def line(words: str, width: int, glyphs: Glyphs, style: str = "") -> Text:
    """Return a line in one style."""
    return Text(fit(words, width, glyphs), style=style, no_wrap=True, end="")


def title(words: str, width: int, glyphs: Glyphs) -> Text:
    """Return the line above a section."""
    name = fit(words, min(cell_len(words), max(width - 6, 0)), glyphs)
    head = Text(f"{glyphs.rule * 2} ", style="dim", no_wrap=True, end="")
    head.append(name, style="not dim bold")
    return head.append(f" {glyphs.rule * max(width - 4 - cell_len(name), 0)}", style="dim")


def bar(share: float, width: int, glyphs: Glyphs) -> str:
    """Return a bar of `width` cells, so far full."""
    full = int(min(max(share, 0.0), 1.0) * width)
    return glyphs.full * full + glyphs.empty * (width - full)


def row(cells: Sequence[tuple[str, int]], glyphs: Glyphs) -> str:
    """Return a row of a table: the first cell on the left, the others on the right of their width."""
    return " ".join(fit(words, width, glyphs, right=at > 0) for at, (words, width) in enumerate(cells))
