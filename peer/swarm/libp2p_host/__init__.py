"""libp2p behind `peer.swarm.transport.Transport`: the only package that imports it.

py-libp2p is pinned to exactly 0.8.1 and stands behind guards, each in a file that names what it mends and
each with a test that fails without it. But for a frame size and a logger, none of them patches
a class of libp2p in place: they are subclasses and facades, so that several hosts, several runs and stock
hosts live side by side in one process.
"""

import os

# Read by libp2p at every read of a stream. 0 batches the receiver's window updates instead of sending one for
# each read: a quarter more throughput. Safe, since credit is still returned once half the window has been
# read.
os.environ.setdefault("PY_YAMUX_RELEASE_ON_READ", "0")

from peer.swarm.libp2p_host.addresses import check_bootstraps, hosts_of
from peer.swarm.libp2p_host.limits import ConnectionLimits, RelayLimits, TableLimits
from peer.swarm.libp2p_host.opening import open_transport

__all__ = ["ConnectionLimits", "RelayLimits", "TableLimits", "check_bootstraps", "hosts_of", "open_transport"]
