"""How peers behind routers are reached: what one host asks another, below any run.

A stream of `REACH_PROTOCOL` carries one question and its answer, each one frame. After `Connected` the stream
is no longer ours: it carries the bytes of a connection to a third peer.
"""

from typing import Annotated, Literal

from msgspec import Meta

from protocol.codec import Message
from protocol.limits import MAX_ADDRESS, MAX_REASON

REACH_PROTOCOL = "/murmuration/reach/1"
DIAL_BACK_PROTOCOL = "/murmuration/dial-back/1"
"""Named where a new connection would name its multiplexer: the connection brings a nonce, and ends."""

MAX_REACH = 8 * 1024
"""Bytes of one frame: the most addresses of the longest kind fit."""

MAX_PUNCHED = 8
"""Addresses that two peers tell each other for hole punching."""

NONCE_BYTES = 16

Port = Annotated[int, Meta(ge=1, le=65535)]
Nonce = Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
PeerId = Annotated[str, Meta(min_length=1, max_length=64)]
Host = Annotated[str, Meta(min_length=2, max_length=45)]
Place = Annotated[str, Meta(min_length=1, max_length=MAX_ADDRESS)]
Places = Annotated[tuple[Place, ...], Meta(max_length=MAX_PUNCHED)]

DialBackResult = Literal["reached", "silent", "refused", "stranger"]
"""What became of a new connection: it reached the caller; nothing answered; the port is closed; what answered
was not the caller."""


# ---- questions


class AskDialBack(Message, frozen=True, tag="dial_back"):
    """Open a new TCP connection to the address that you see me at, to this port, and bring me the nonce."""

    port: Port
    nonce: Nonce


class AskReservation(Message, frozen=True, tag="reserve"):
    """Let others reach me through you."""


class AskCircuit(Message, frozen=True, tag="circuit"):
    """Connect this stream to a peer that has a reservation with you."""

    peer_id: PeerId


class Incoming(Message, frozen=True, tag="incoming"):
    """You have a reservation with me: here is a stream from this peer."""

    peer_id: PeerId


class Punch(Message, frozen=True, tag="punch"):
    """Let us both dial at once. Here is where I expect to be reached. Also the answer to itself."""

    addresses: Places


class PunchNow(Message, frozen=True, tag="punch_now"):
    """Dial on reading this; I dial half a round trip after sending it. It has no answer."""


ReachCall = AskDialBack | AskReservation | AskCircuit | Incoming | Punch | PunchNow


# ---- answers


class DialledBack(Message, frozen=True, tag="dialled_back"):
    """The answer to `AskDialBack`."""

    host: Host
    """The IP address that I see you at."""
    port: Port
    """The port from which the connection comes over which you ask."""
    result: DialBackResult


class Reserved(Message, frozen=True, tag="reserved"):
    """The answer to `AskReservation`."""

    seconds: Annotated[float, Meta(ge=1.0, le=86400.0)]
    """For how long, if the connection between us lasts. Ask again before."""


class Connected(Message, frozen=True, tag="connected"):
    """The answer to `AskCircuit` and to `Incoming`: what follows on the stream is the other peer's."""


class Declined(Message, frozen=True, tag="declined"):
    """No, and why."""

    reason: Annotated[str, Meta(max_length=MAX_REASON)]


ReachAnswer = DialledBack | Reserved | Connected | Punch | Declined
