"""Keep libp2p's log to itself: it warns and errs about everything that a stranger does."""

import logging
import os

from libp2p.network.connection import swarm_connection


def quieten() -> None:
    """Silence libp2p, unless its own variable LIBP2P_DEBUG asks for its log.

    `swarm_connection` logs by the functions of `logging`, which install a handler on stderr in a program that
    has configured none. It gets a logger instead. Drop when a libp2p release uses its own logger there.
    """
    if not os.environ.get("LIBP2P_DEBUG"):
        logging.getLogger("libp2p").setLevel(logging.CRITICAL + 1)
    swarm_connection.logging = logging.getLogger(swarm_connection.__name__)
