"""The daemon that trains one language model together with strangers: no server, no leader, no barrier.

What programs use stands here by name, and is loaded when it is used: `import peer` itself loads nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peer.api.peer import Peer as Peer
    from peer.api.run import Run as Run
    from peer.errors import PeerError as PeerError
    from peer.trainer.tasks.task import Task as Task

_HOMES = {
    "Peer": "peer.api.peer",
    "PeerError": "peer.errors",
    "Run": "peer.api.run",
    "Task": "peer.trainer.tasks.task",
}

__all__ = ["Peer", "PeerError", "Run", "Task"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
