"""How the command line is told, and what is wrong with a value on it, in words of ours."""

import re
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_WORDS = {
    r"Value error, ": "",
    r"Input should be greater than or equal to (\S+)": r"it must be \1 or more",
    r"Input should be less than or equal to (\S+)": r"it must be \1 or less",
    r"Input should be a valid integer.*": "it must be a whole number",
    r"Input should be a valid number.*": "it must be a number",
}
"""Of the library with which typer checks values, and ours."""


def plain(message: str) -> str:
    """Return `message` in our words; what is not known stays as it is."""
    for theirs, ours in _WORDS.items():
        message = re.sub(theirs, ours, message)
    return message


class Command(TyperCommand):
    """One command of `peer`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - as in `Commands`
        """Name what must be given as other programs do: DIR, where typer writes {DIR}."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]


class Commands(TyperGroup):
    """The commands of `peer`."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - its class differs between versions of typer
        """Run the command that is asked for."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = plain(error.message)
            raise
