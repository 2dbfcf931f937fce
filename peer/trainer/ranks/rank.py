"""One rank, from its start to its end: rank 0 does what the daemon says, and the others what rank 0 says."""

import os
import socket
from contextlib import closing
from pathlib import Path

from peer.trainer import session
from peer.trainer.link import Link
from peer.trainer.ranks.folder import meeting, read_order
from peer.trainer.ranks.follower import follow

_TORCHRUNS = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_",
    "GROUP_",
    "ROLE_",
    "MASTER_",
    "TORCHELASTIC_",
    "TORCH_NCCL_ASYNC_",
)
"""How the names of variables begin that torchrun sets."""


def train(name: str) -> int:
    """Train, and return the exit code.

    Args:
        name: of the folder of all ranks.
    """
    folder, rank = Path(name), _take_rank()
    sock = _take_socket()
    if rank == 0:
        session.log()
        with closing(Link(sock)) as link:
            return session.serve(link, read_order(folder), meeting(folder))
    sock.close()
    code = follow(rank, read_order(folder), folder)
    # Python's own end would take seconds to clear up, and might wait for the others.
    os._exit(code)


def _take_rank() -> int:
    """Return our rank, and leave nothing by which a plug-in's libraries would set up a group of their own."""
    rank = int(os.environ["RANK"])
    for name in [name for name in os.environ if name.startswith(_TORCHRUNS)]:
        del os.environ[name]
    return rank


def _take_socket() -> socket.socket:
    """Return the socket to the daemon, which is our standard input, and have an empty one from now on."""
    sock = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return sock
