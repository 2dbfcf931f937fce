"""`python -m peer.trainer.ranks FOLDER`: one rank, which only `torchrun` starts."""

import os
import socket
import sys
from contextlib import closing
from pathlib import Path

from peer.trainer import session
from peer.trainer.link import Link
from peer.trainer.ranks import ends
from peer.trainer.ranks.folder import meeting, read_order
from peer.trainer.ranks.follower import follow


def main() -> int:
    """Lead the others as the daemon says, or follow; return the exit code."""
    ends.watch(os.getppid(), int(os.environ["LOCAL_WORLD_SIZE"]))
    rank, folder = int(os.environ["RANK"]), Path(sys.argv[1])
    sock = _take_socket()
    if rank == 0:
        session.log()
        with closing(Link(sock)) as link:
            return session.serve(link, read_order(folder), meeting(folder))
    sock.close()
    code = follow(rank, read_order(folder), folder)
    # Python's own end would take seconds to clear up, and might wait for the others.
    os._exit(code)


def _take_socket() -> socket.socket:
    """Return the socket to the daemon, which is our standard input, and have an empty one from now on."""
    sock = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return sock


if __name__ == "__main__":
    sys.exit(main())
