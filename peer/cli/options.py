"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from peer.errors import HomeError

DEFAULT_HOME = Path("~/.murmuration")


def expand(home: Path) -> Path:
    """Return the folder that is meant by a path with `~`.

    Raises:
        HomeError: nobody knows whose home `~` is.
    """
    try:
        return home.expanduser()
    except RuntimeError as error:
        raise HomeError(f"Cannot tell where {home} is", "Write the whole path: --home /...") from error


Home = Annotated[
    Path,
    typer.Option(
        "--home",
        metavar="DIR",
        callback=expand,
        help="The peer's folder: identity, manifest, checkpoints, events.",
    ),
]
RunDevice = Annotated[
    str,
    typer.Option(
        "--device", metavar="NAME", help="Where to run the model, beside what trains: cpu, cuda or mps."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]
