"""`peer init`: write a commented `run.toml`."""

from pathlib import Path
from typing import Annotated

import typer

from peer.cli.options import Force
from peer.config.template import template
from peer.errors import UsageError


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("run.toml"),
    force: Force = False,
) -> None:
    """Write a run.toml that explains every key. Change it, then found a run from it.

    Example: peer init run.toml && peer start --run run.toml
    """
    write_new(file, template(), force=force)
    print(f"{file} written. Found a run from it: peer start --run {file}")


def write_new(file: Path, text: str, *, force: bool) -> None:
    """Write a file that is not there yet, or over one where `--force` asks for it.

    Raises:
        UsageError: it is there already, and is not to be written over; or the folder cannot be written.
    """
    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        remedy = "Choose another name, or write over it with --force"
        raise UsageError(f"{file} is there already", remedy) from error
    except OSError as error:
        raise UsageError(
            f"Cannot write {file} ({error.strerror})", "Choose a folder that you may write"
        ) from error
