"""The cache of peers that were met: how a peer finds the swarm again without its bootstraps."""

import json
import math
from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from peer.swarm.transport import Contact
from protocol.limits import MAX_ADDRESS, MAX_ADDRESSES

MOST = 256
"""Peers that are kept: the swarm is found again if 1 of them is still there."""

MAX_SIZE = 2 * 1024 * 1024
"""Bytes of a cache that is worth reading: `MOST` peers with the longest addresses, and room to spare."""


class KnownPeer(msgspec.Struct, frozen=True):
    """A peer, where it could be dialled, and when it was last in view (seconds since 1970)."""

    peer_id: Annotated[str, Meta(min_length=1, max_length=64)]
    addresses: Annotated[
        tuple[Annotated[str, Meta(max_length=MAX_ADDRESS)], ...], Meta(max_length=MAX_ADDRESSES)
    ]
    last_seen: float


def parse_known(data: bytes) -> list[KnownPeer]:
    """Return the peers of a cache, the last seen first. What is damaged is left out, down to nothing."""
    known: list[KnownPeer] = []
    try:
        entries = json.loads(data) if len(data) <= MAX_SIZE else []
    except (ValueError, RecursionError):
        return known
    for entry in entries if isinstance(entries, list) else []:
        try:
            peer = msgspec.convert(entry, KnownPeer)
        except msgspec.ValidationError:
            continue
        if math.isfinite(peer.last_seen):
            known.append(peer)
    return _newest(known)


def write_known(known: Iterable[KnownPeer]) -> bytes:
    """Return the cache's bytes, one peer a line."""
    lines = ",\n".join(msgspec.json.encode(peer).decode() for peer in known)
    return f"[\n{lines}\n]\n".encode()


def merge(known: Iterable[KnownPeer], live: Iterable[Contact], now: float) -> list[KnownPeer]:
    """Return the cache with the peers that are in view at `now`; the longest unseen fall out."""
    seen = [KnownPeer(contact.peer_id, contact.addresses, now) for contact in live]
    return _newest([*seen, *known])


def _newest(known: list[KnownPeer]) -> list[KnownPeer]:
    peers: dict[str, KnownPeer] = {}
    for peer in sorted(known, key=lambda peer: -peer.last_seen):
        peers.setdefault(peer.peer_id, peer)
    return list(peers.values())[:MOST]
