"""`peer init`: write a commented `run.toml`."""

from pathlib import Path
from typing import Annotated

import typer

from peer.config.template import template
from peer.errors import UsageError


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("run.toml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a run.toml that explains every key. Change it, then found a run from it.

    Example: peer init run.toml && peer start --run run.toml
    """
    remedy = "Choose another name, or write over it with --force"
    write_new(file, template(), remedy, over=force)
    print(f"{file} written. Found a run from it: peer start --run {file}")


def write_new(file: Path, text: str, remedy: str = "Choose another name", *, over: bool = False) -> None:
    """Write a file that is not there yet.

    Raises:
        UsageError: it is there already, and is not to be written over; or the folder cannot be written.
    """
    try:
        with file.open("w" if over else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UsageError(f"{file} is there already", remedy) from error
    except OSError as error:
        raise UsageError(
            f"Cannot write {file} ({error.strerror})", "Choose a folder that you may write"
        ) from error
