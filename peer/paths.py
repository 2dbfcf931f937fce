"""Paths as people write them."""

from pathlib import Path

from peer.errors import HomeError


def expand(home: Path) -> Path:
    """Return the folder that is meant by a path with `~`.

    Raises:
        HomeError: nobody knows whose home `~` is.
    """
    try:
        return home.expanduser()
    except RuntimeError as error:
        raise HomeError(f"Cannot tell where {home} is", "Write the whole path: --home /...") from error
