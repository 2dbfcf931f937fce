"""The pages of the error catalogue: Markdown files that come with the program, one for each number."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

SECTIONS = ("What happened", "Likely causes", "How to mend it", "Example")
"""The headings of every page, in this order."""

_SECTION = r"## {}\n\n(?:(?!\n## ).)+"
_FORM = re.compile(
    r"# (?P<title>[^\n]+)\n\n" + r"\n\n".join(_SECTION.format(name) for name in SECTIONS), re.DOTALL
)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


@dataclass(frozen=True, slots=True)
class Page:
    """What one number means.

    Attributes:
        number: an exit code, or a finding of `peer doctor`.
        title: what happened, in a few words.
        body: Markdown, from the first section on.
    """

    number: int
    title: str
    body: str

    def plain(self) -> str:
        """Return the body without links, for a terminal."""
        return _LINK.sub(r"\1", self.body)


@cache
def read_pages() -> dict[int, Page]:
    """Return every page by its number, in order.

    Raises:
        ValueError: a page is not of the form; `tests/peer/explain` holds that none is.
    """
    found = [_read(int(file.name.removesuffix(".md")), file.read_text("utf-8")) for file in _files()]
    return {page.number: page for page in sorted(found, key=lambda page: page.number)}


def _files() -> list[Traversable]:
    return [file for file in files(__package__).joinpath("text").iterdir() if file.name.endswith(".md")]


def _read(number: int, text: str) -> Page:
    match = _FORM.fullmatch(text.rstrip())
    if match is None:
        raise ValueError(f"the page of {number} needs a title and the sections {', '.join(SECTIONS)}")
    return Page(number, match["title"], text[match.end("title") :].strip())
