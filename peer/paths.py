"""Paths as people write them."""

import shlex
from pathlib import Path

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


def option_for(home: Path) -> str:
    """Return the option by which a command means this home, a space before it; nothing for the usual one."""
    try:
        usual = home.absolute() == DEFAULT_HOME.expanduser()
    except RuntimeError:  # nobody knows whose home `~` is
        usual = False
    return "" if usual else f" --home {shlex.quote(str(home))}"


def existing(named: str, folder: Path = Path()) -> Path | None:
    """Return the file or folder that a name means in a folder, `~` included; None where there is none.

    What stands there may be a name on the Hub as well, or what can be no path at all.
    """
    try:
        path = folder / Path(named).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError):  # too long for a path, or below the home of nobody
        return None


def folder_or_name(named: str, folder: Path = Path()) -> str:
    """Return the folder that a name means in another, made absolute; the name itself where there is none."""
    path = existing(named, folder)
    return str(path.absolute()) if path and path.is_dir() else named
