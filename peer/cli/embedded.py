"""`python -m peer.cli.embedded`: the command `peer` for programs: it says why it failed as JSON too.

That is the last line of standard output then. A person's line is on standard error, as ever.
"""

import sys
from typing import cast

import msgspec
import typer

from peer.cli.main import app, find
from peer.errors import PeerError, UsageError
from protocol.trainer import Failed

_MISTAKE = cast("type[typer.BadParameter]", typer.BadParameter.__bases__[0])
"""click's error about any part of a command line: typer has click within it, or beside it."""


def main(arguments: list[str]) -> int:
    """Run the command, and return its exit code."""
    try:
        typer.main.get_command(app).main(arguments, prog_name="peer", standalone_mode=False)
    except BaseException as error:
        mendable = _mendable(error)
        if mendable is None:
            raise
        print(f"peer: {mendable}", file=sys.stderr)
        told = Failed(code=int(mendable.code), message=mendable.message, remedy=mendable.remedy)
        sys.stdout.write("\n" + msgspec.json.encode(told).decode() + "\n")
        return mendable.code
    return 0


def _mendable(error: BaseException) -> PeerError | None:
    if isinstance(error, _MISTAKE):
        return UsageError(error.format_message().rstrip("."), "See `peer start --help`")
    return find(error, PeerError)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
