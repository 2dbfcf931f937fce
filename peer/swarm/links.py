"""How each peer in view is connected to us, for those who watch."""

from dataclasses import dataclass
from typing import Literal

from peer.swarm.bulk import Bulk
from peer.swarm.goodput import Goodput
from peer.swarm.transport import Transport
from peer.swarm.view import View

Way = Literal["direct", "relayed", "none"]
"""`none`: no connection is open; one is made when it is needed."""

_ORDER: tuple[Way, ...] = ("direct", "relayed", "none")


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """One peer in view.

    Attributes:
        peer_id: who.
        way: how we are connected.
        lanes: connections beside it, for bulk.
        rate_in: bytes a second of what we pulled of it lately; None where nothing was.
        rate_out: the same of what it pulled of us.
        round_trip: seconds, as its last answers took; None where it never answered us.
        avoided: seconds for which nothing is exchanged with it, as the last exchange failed; mostly 0.
    """

    peer_id: str
    way: Way
    lanes: int
    rate_in: float | None
    rate_out: float | None
    round_trip: float | None
    avoided: float


def links(
    view: View, transport: Transport, goodput: Goodput, bulk: Bulk | None, most: int
) -> tuple[LinkStatistics, ...]:
    """Return the links to the peers in view, `most` of them, those that are connected first."""
    connected = set(transport.connected())

    def way(peer_id: str) -> Way:
        if peer_id not in connected:
            return "none"
        return "relayed" if transport.relayed(peer_id) else "direct"

    ways = {contact.peer_id: way(contact.peer_id) for contact in view.live()}
    # By PeerID within a kind, so that a list that is drawn again and again does not jump.
    chosen = sorted(ways, key=lambda peer_id: (_ORDER.index(ways[peer_id]), peer_id))[:most]
    return tuple(
        LinkStatistics(
            peer_id,
            ways[peer_id],
            len(bulk.to(peer_id)) if bulk is not None else 0,
            *goodput.of(peer_id),
            view.round_trip(peer_id),
            view.avoided(peer_id),
        )
        for peer_id in chosen
    )
