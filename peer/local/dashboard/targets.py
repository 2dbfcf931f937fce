"""Where the peers of this machine serve their metrics, written down as Prometheus reads it."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from peer.daemon.client import ControlClient
from peer.daemon.home import write_atomically
from peer.daemon.runtime import running
from peer.errors import NotRunningError


def local_targets(sockets: Callable[[], Iterable[Path]] = running) -> list[str]:
    """Return HOST:PORT of each daemon of this user that answers now, in order."""
    found = set()
    for socket in sockets():
        # One that is just ending is as good as gone.
        with suppress(NotRunningError), ControlClient(socket) as client:
            if url := client.status().metrics:
                found.add(urlsplit(url).netloc)
    return sorted(found)


class TargetsFile:
    """The list that Prometheus reads again whenever it changes (`file_sd_configs`)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: list[str] | None = None

    def write(self, targets: list[str]) -> bool:
        """Put the targets there; return whether they are others than before."""
        if targets == self._written:
            return False
        groups = [{"targets": targets}] if targets else []
        write_atomically(self._path, msgspec.json.encode(groups))
        self._written = targets
        return True
