"""Lanes: TLS sockets between peers that can dial each other, beside libp2p, for the bytes of objects."""

from peer.swarm.bulk.bulk import Bulk, BulkStatistics
from peer.swarm.bulk.listening import open_bulk

__all__ = ["Bulk", "BulkStatistics", "open_bulk"]
