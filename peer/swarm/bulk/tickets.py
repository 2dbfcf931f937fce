"""Tokens that we have given out: each opens one lane, once, soon, and for one peer with one certificate."""

import hashlib
import secrets
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import trio

from protocol.bulk_calls import SELECTOR_BYTES, TOKEN_BYTES

LIFETIME = 10.0
"""Seconds for which a token holds: its bearer dials within `DIAL`."""

MOST = 256
"""Tokens out at once, those included whose bearers are proving themselves."""


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
        self._shown: Counter[str] = Counter()
        """Tickets whose bearers are proving themselves, by the peers that they are for."""

    def issue(
        self, peer_id: str, certificate: bytes, context: ssl.SSLContext, count: int
    ) -> tuple[bytes, ...]:
        """Return new tokens for a peer, whose earlier ones are void.

        There are none where too many are out, nor while the bearer of an earlier one is proving itself.
        """
        if self._shown[peer_id]:
            return ()
        now = trio.current_time()
        self._out = {
            key: ticket
            for key, ticket in self._out.items()
            if ticket.until > now and ticket.peer_id != peer_id
        }
        if len(self._out) + self._shown.total() + count > MOST:
            return ()
        tokens = tuple(secrets.token_bytes(TOKEN_BYTES) for _ in range(count))
        for token in tokens:
            self._out[selector(token)] = Ticket(peer_id, token, certificate, context, now + LIFETIME)
        return tokens

    @contextmanager
    def redeem(self, key: bytes) -> Iterator[Ticket | None]:
        """Give the ticket that a selector names, which is void from now on; None where there is none.

        Its bearer counts as expected until it has proved itself, and this ends.
        """
        ticket = self._out.pop(key, None)
        if ticket is None or ticket.until <= trio.current_time():
            yield None
            return
        self._shown[ticket.peer_id] += 1
        try:
            yield ticket
        finally:
            self._shown[ticket.peer_id] -= 1
            if not self._shown[ticket.peer_id]:
                del self._shown[ticket.peer_id]

    def expects(self, peer_id: str) -> bool:
        """Say whether a peer may still call with a token of ours, or is at it."""
        now = trio.current_time()
        out = any(ticket.peer_id == peer_id and ticket.until > now for ticket in self._out.values())
        return out or self._shown[peer_id] > 0


def selector(token: bytes) -> bytes:
    """Return what names a token in the clear without giving it away."""
    return hashlib.sha256(token).digest()[:SELECTOR_BYTES]
