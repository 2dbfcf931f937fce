"""The error catalogue: a page for each exit code and each finding of the doctor."""

from enum import IntEnum

from peer.cli.explain import name_of
from peer.daemon.doctor.findings import CATALOGUE, Number
from peer.errors import Exit, PeerError
from peer.explain.catalogue import Page, read_pages


def pages() -> dict[int, str]:
    """Return the Markdown of each page by its number.

    Raises:
        ValueError: a number has no page, or a page no number.
    """
    found, wanted = read_pages(), {int(number) for number in (*Exit, *Number)}
    if missing := wanted - set(found):
        raise ValueError(f"no page tells of {sorted(missing)}: write peer/explain/text/NUMBER.md")
    if unknown := set(found) - wanted:
        raise ValueError(f"nothing has the number of peer/explain/text/{min(unknown)}.md")
    return {number: _page(page) for number, page in found.items()}


def _page(page: Page) -> str:
    return f"# {page.number}: {page.title}\n\n{_facts(page.number)}\n\n{page.body}\n"


def _facts(number: int) -> str:
    if number in set(Number):
        cause, mend = CATALOGUE[Number(number)]
        lines = [f"Finding **{number}** of `peer doctor`, `{name_of(number)}`. {cause}"]
        lines += [f"What it says to do: `{mend}`"] if mend else []
    else:
        lines = [f"Exit code **{number}**, `Exit.{name_of(number)}`."]
        lines += [f"In Python: `peer.errors.{kind.__name__}`. {_doc(kind)}" for kind in _kinds(number)]
    return "\n\n".join(lines)


def _kinds(number: int) -> list[type[PeerError]]:
    return [kind for kind in PeerError.__subclasses__() if kind.code == number]


def _doc(kind: type[PeerError]) -> str:
    return " ".join((kind.__doc__ or "").split())


def exits() -> str:
    """Return the table of exit codes."""
    return _table(Exit)


def findings() -> str:
    """Return the table of the doctor's findings."""
    return _table(Number)


def _table(numbers: type[IntEnum]) -> str:
    titles = read_pages()
    rows = [f"| [{each.value}]({each.value}.md) | `{each.name}` | {titles[each].title} |" for each in numbers]
    return "\n".join(["| number | name | what happened |", "|---|---|---|", *rows])
