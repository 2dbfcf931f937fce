"""The whole screen, for a terminal of any size: what fits is shown, the most important first."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.text import Text

from peer.watch import sections
from peer.watch.lines import UNICODE, Glyphs, line
from peer.watch.seen import Seen

Section = Callable[[Seen, int, int, Glyphs], list[Text]]

WIDE = 76
"""Columns from which two sections stand side by side."""

LEFT = 0.57
"""Of the width, for the left one: the tables need it."""

GAP = 2


@dataclass(frozen=True, slots=True)
class Band:
    """Sections side by side."""

    sections: tuple[Section, ...]
    least: int
    """Rows without which it is left out."""
    share: int
    """Of the rows that are left over."""


BANDS = (
    Band((sections.loss, sections.pace), least=7, share=4),
    Band((sections.exchanges, sections.well), least=5, share=2),
    Band((sections.links, sections.transfers), least=5, share=1),
    Band((sections.events,), least=4, share=3),
)
"""From top to bottom."""

NARROW = (
    Band((sections.well,), least=5, share=1),
    Band((sections.pace,), least=5, share=0),
    Band((sections.loss,), least=5, share=3),
    Band((sections.events,), least=4, share=3),
    Band((sections.exchanges,), least=4, share=1),
)

FIRST = {"wide": (0, 1, 3, 2), "narrow": (0, 1, 2, 3, 4)}
"""Which bands stay where there is no room for all, the most important first."""


def screen(seen: Seen, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """Return `height` lines of `width` cells at the most."""
    bands, order = (BANDS, FIRST["wide"]) if width >= WIDE else (NARROW, FIRST["narrow"])
    lines = [sections.header(seen, width, glyphs)]
    for band, rows in _rows(bands, order, height - 2):
        lines += _band(seen, band, width, rows, glyphs)
    blank = line("", width, glyphs)
    lines = (lines + [blank] * height)[: max(height - 1, 1)]
    lines = [*lines, line(f" {seen.keys}", width, glyphs, "dim")][:height]
    for each in lines:
        each.truncate(width)
    return lines


def _rows(bands: tuple[Band, ...], order: tuple[int, ...], room: int) -> list[tuple[Band, int]]:
    """Return the bands that fit, from top to bottom, and the rows of each."""
    chosen: list[int] = []
    for at in order:
        if sum(bands[other].least for other in chosen) + bands[at].least <= room:
            chosen.append(at)
    spare = room - sum(bands[at].least for at in chosen)
    shares = sum(bands[at].share for at in chosen)
    rows = {at: bands[at].least + spare * bands[at].share // max(shares, 1) for at in chosen}
    if chosen:
        # What division leaves over goes to the last band: the events take any number of lines.
        rows[max(chosen)] += room - sum(rows.values())
    return [(bands[at], rows[at]) for at in sorted(chosen)]


def _band(seen: Seen, band: Band, width: int, rows: int, glyphs: Glyphs) -> list[Text]:
    if len(band.sections) == 1:
        drawn = band.sections[0](seen, width, rows, glyphs)
        return drawn + [line("", width, glyphs)] * (rows - len(drawn))
    left_width = int((width - GAP) * LEFT)
    left, right = band.sections
    left_lines = left(seen, left_width, rows, glyphs)
    right_lines = right(seen, width - GAP - left_width, rows, glyphs)
    return [
        _beside(left_lines[at : at + 1], right_lines[at : at + 1], left_width, glyphs) for at in range(rows)
    ]


def _beside(left: list[Text], right: list[Text], width: int, glyphs: Glyphs) -> Text:
    drawn = left[0] if left else line("", width, glyphs)
    return Text.assemble(drawn, " " * GAP, *right, no_wrap=True, end="")
