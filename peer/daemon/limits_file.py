"""`limits.toml` in a home: what a person lets this peer use. A running daemon takes changes up."""

import os
import tomllib
from pathlib import Path

from peer.config.describe import toml
from peer.config.locate import Lines, locate
from peer.daemon.home import write_atomically
from peer.errors import HomeError, LimitsError, UsageError
from peer.governor.limits import KEYS, Given, Limits, Value, parse, read_value

LARGEST = 64 * 1024
"""Bytes of a file that is worth reading."""

_HEAD = """\
# What this peer may use, and when it pauses. `peer limits` writes this file anew; you may edit it as well.
# A running peer looks at it every few seconds. What stands behind a # is not set.
"""


def limits_file(home: Path) -> Path:
    """Return where the limits of a home stand."""
    return home / "limits.toml"


def read_given(home: Path) -> Given:
    """Return what is set, as it was written; nothing where there is no file.

    Raises:
        LimitsError: it cannot be read, or is no TOML.
    """
    return _read(home)[0]


def _read(home: Path) -> tuple[Given, str]:
    path = limits_file(home)
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST).decode("utf-8")
        given: Given = tomllib.loads(text)
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        raise LimitsError(f"Cannot read {path}: {error.strerror}", "Mend its permissions") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LimitsError(f"{path} is no TOML: {error}", "Mend that line, or remove the file") from error
    return given, text


def read_limits(home: Path) -> Limits:
    """Return what the limits of a home mean.

    Raises:
        LimitsError: the file cannot be read, or a key or value in it is wrong.
    """
    given, text = _read(home)
    return _meaning(limits_file(home), given, locate(text))


def _meaning(path: Path, given: Given, lines: Lines) -> Limits:
    """Return what limits mean, or refuse the first that is wrong by its line, where they stand in a file."""
    for key, value in given.items():
        try:
            read_value(key, value)
        except UsageError as error:
            line = f":{lines[key,]}" if (key,) in lines else ""
            raise LimitsError(f"{path}{line}: {error.message}", error.remedy) from error
    return parse(given)


def write_given(home: Path, given: Given) -> None:
    """Put these limits in place of those of a home.

    Raises:
        LimitsError: a key or value is wrong, perhaps one that stood in the file before, lest it be lost.
        HomeError: the disk refuses.
    """
    _meaning(limits_file(home), given, {})
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HomeError(f"Cannot use {home}: {error.strerror}", "Mend it, or name another --home") from error
    lines = [_line(key, given.get(key)) for key in KEYS]
    write_atomically(limits_file(home), "\n".join([_HEAD, *lines, ""]).encode(), _owner(home))


def _owner(home: Path) -> tuple[int, int] | None:
    """Return to whom a file of root's must be given, for the daemon of this home to read it."""
    found = home.stat()
    return (found.st_uid, found.st_gid) if os.geteuid() == 0 and found.st_uid else None


def _line(key: str, value: Value | None) -> str:
    if value is None:
        return f"# {f'{key} = {KEYS[key].example}':<34}# {KEYS[key].meaning}"
    return f"{f'{key} = {toml(value)}':<36}# {KEYS[key].meaning}"


class WatchedLimits:
    """The limits of a home, read again when their file has changed."""

    def __init__(self, home: Path) -> None:
        """Read them.

        Raises:
            LimitsError: as `read_limits`.
        """
        self._home = home
        self._seen = self._look()
        self.now = read_limits(home)
        self.given = read_given(home)
        """The keys that the person has set."""

    def changed(self) -> bool:
        """Read the file again if it has changed; return whether it has.

        Raises:
            LimitsError: it has become wrong: those before stay in force, until the file changes again.
        """
        seen = self._look()
        if seen == self._seen:
            return False
        self._seen = seen
        self.now, self.given = read_limits(self._home), read_given(self._home)
        return True

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(limits_file(self._home))  # noqa: PTH116 - of all that it tells, three figures
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
