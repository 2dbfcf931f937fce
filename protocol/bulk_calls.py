"""How two peers agree on lanes: TLS sockets beside the libp2p connection, which carry the chunks of objects.

A lane begins with the first `SELECTOR_BYTES` of the SHA-256 of its token, in the clear; then TLS 1.3, in
which each side shows exactly the certificate that it named here; then the token. From there on both sides
send frames: `Pull`, and in the order of the other side's pulls `Piece` (its bytes follow) or `Refused`.
"""

from typing import Annotated

from msgspec import Meta

from protocol.codec import Message

MOST_LANES = 8
"""Of one agreement: what 1 Gbit/s asks for at 160 ms, 2.5 MB in flight on each."""

TOKEN_BYTES = 32
SELECTOR_BYTES = 16

Certificate = Annotated[bytes, Meta(min_length=1, max_length=2048)]
"""DER. Self-signed, fresh with every start of a daemon: the stream on which it is named vouches for it."""
Token = Annotated[bytes, Meta(min_length=TOKEN_BYTES, max_length=TOKEN_BYTES)]


class AskLanes(Message, frozen=True, tag="ask_lanes"):
    """Let me open so many lanes to you. The answer is `LanesAre`, `Busy` (not now) or `Refused` (never)."""

    certificate: Certificate
    count: Annotated[int, Meta(ge=1, le=MOST_LANES)]


class LanesAre(Message, frozen=True, tag="lanes"):
    """The answer to `AskLanes`: call this port, at the address of our connection."""

    port: Annotated[int, Meta(ge=1, le=65535)]
    certificate: Certificate
    tokens: Annotated[tuple[Token, ...], Meta(min_length=1, max_length=MOST_LANES)]
    """One for each lane. Each opens one, within seconds, and only for the certificate that was named."""
