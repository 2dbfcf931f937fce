"""Tokens that we have given out: each opens one lane, once, soon, and for one peer with one certificate."""

import hashlib
import secrets
import ssl
from dataclasses import dataclass

import trio

from protocol.bulk_calls import SELECTOR_BYTES, TOKEN_BYTES

LIFETIME = 10.0
"""Seconds for which a token holds: its bearer dials within `DIAL`."""

MOST = 256
"""Tokens out at once."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a token stands for."""

    peer_id: str
    token: bytes
    certificate: bytes
    context: ssl.SSLContext
    until: float


class Tickets:
    """The tokens that are out."""

    def __init__(self) -> None:
        self._out: dict[bytes, Ticket] = {}

    def issue(
        self, peer_id: str, certificate: bytes, context: ssl.SSLContext, count: int
    ) -> tuple[bytes, ...]:
        """Return new tokens for a peer, whose earlier ones are void; none where too many are out."""
        now = trio.current_time()
        self._out = {
            key: ticket
            for key, ticket in self._out.items()
            if ticket.until > now and ticket.peer_id != peer_id
        }
        if len(self._out) + count > MOST:
            return ()
        tokens = tuple(secrets.token_bytes(TOKEN_BYTES) for _ in range(count))
        for token in tokens:
            self._out[selector(token)] = Ticket(peer_id, token, certificate, context, now + LIFETIME)
        return tokens

    def redeem(self, key: bytes) -> Ticket | None:
        """Return the ticket that a selector names, which is void from now on; None where there is none."""
        ticket = self._out.pop(key, None)
        return ticket if ticket is not None and ticket.until > trio.current_time() else None

    def expects(self, peer_id: str) -> bool:
        """Say whether a peer may still call with a token of ours."""
        now = trio.current_time()
        return any(ticket.peer_id == peer_id and ticket.until > now for ticket in self._out.values())


def selector(token: bytes) -> bytes:
    """Return what names a token in the clear without giving it away."""
    return hashlib.sha256(token).digest()[:SELECTOR_BYTES]
