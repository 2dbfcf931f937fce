"""Lanes: TLS sockets between peers that can dial each other, beside libp2p, for the bytes of objects."""

from peer.swarm.bulk.bulk import Bulk, BulkStatistics, open_bulk

__all__ = ["Bulk", "BulkStatistics", "open_bulk"]
