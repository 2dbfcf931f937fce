"""`python -m peer.trainer --socket FD`: the trainer, which only a daemon starts."""

import argparse
import signal
import socket
import sys
from contextlib import closing

from peer.errors import PeerError
from peer.trainer import session
from peer.trainer.equipment import Equipment
from peer.trainer.link import Link, hear_first
from protocol.trainer import Begin


def main() -> int:
    """Speak with the daemon on the inherited socket until the end, and return the exit code."""
    parser = argparse.ArgumentParser(prog="peer.trainer")
    parser.add_argument("--socket", type=int, required=True, help="number of the inherited socket")
    sock = socket.socket(fileno=parser.parse_args().socket)
    # A terminal signals the whole group, but only the daemon decides when training ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    session.log()
    begin = hear_first(sock)
    return _train(sock, begin) if isinstance(begin, Begin) else 0


def _train(sock: socket.socket, begin: Begin) -> int:
    """Train in this process; where there are several devices, in one for each, which `torchrun` starts."""
    try:
        ranks = len(Equipment.of(begin).devices)
        if ranks > 1:
            from peer.trainer.ranks import torchrun

            return torchrun.run(sock, begin, ranks)
    except PeerError as error:
        with closing(Link(sock)) as link:
            return session.tell(link, error)
    with closing(Link(sock)) as link:
        return session.serve(link, begin)


if __name__ == "__main__":
    sys.exit(main())
