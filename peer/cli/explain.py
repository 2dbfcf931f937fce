"""`peer explain`: what a number means that a command ended with, or the doctor found."""

import sys
from typing import Annotated

import msgspec
import typer

from peer.cli.options import AsJson
from peer.daemon.doctor.findings import Number
from peer.errors import Exit, UsageError
from peer.explain.catalogue import Page, read_pages


def explain(
    number: Annotated[
        int | None, typer.Argument(metavar="NUMBER", help="An exit code or a finding; default: list all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what an exit code, or a number of `peer doctor`, means. Likely causes, and how to mend it.

    Example: peer explain 20
    """
    pages = read_pages()
    if number is not None and number not in pages:
        raise UsageError(
            f"{number} is no number of this program", "`peer explain` lists those that there are"
        )
    if as_json:
        told = {"pages": [*map(_headed, pages.values())]} if number is None else _whole(pages[number])
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    elif number is None:
        for page in pages.values():
            print(f"{page.number:>3}  {page.title}")
    else:
        page = pages[number]
        print(f"{page.number} {name_of(number)}: {page.title}\n\n{page.plain()}")


def _headed(page: Page) -> dict[str, object]:
    return {"number": page.number, "name": name_of(page.number), "title": page.title}


def _whole(page: Page) -> dict[str, object]:
    return {**_headed(page), "text": page.plain()}


def name_of(number: int) -> str:
    """Return what the program calls an exit code or a finding; no number is both.

    Raises:
        ValueError: the number is neither.
    """
    return Number(number).name if number in set(Number) else Exit(number).name
