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
    """Write a run.toml with every key, its meaning and its default; change it, then found a run from it.

    Example: peer init run.toml && peer start --run run.toml
    """
    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(template())
    except FileExistsError as error:
        remedy = "Choose another name, or write over it with --force"
        raise UsageError(f"{file} is there already", remedy) from error
    except OSError as error:
        raise UsageError(
            f"Cannot write {file} ({error.strerror})", "Choose a folder that you may write"
        ) from error
    print(f"{file} written. Found a run from it: peer start --run {file}")
