"""A peer's record: where it can be dialled, signed by itself. It travels by DHT and by peer exchange."""

from typing import Annotated

from msgspec import Meta

from protocol import identity
from protocol.codec import Message, decode, encode
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.limits import MAX_ADDRESS, MAX_ADDRESSES, MAX_PROGRESS, MAX_RECORD

Address = Annotated[str, Meta(min_length=1, max_length=MAX_ADDRESS)]


class PeerRecord(Message, frozen=True):
    """What a peer says of itself in one run."""

    run_id: Annotated[bytes, Meta(min_length=32, max_length=32)]
    peer_id: Annotated[str, Meta(max_length=64)]
    sequence: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    """Grows with every record that the peer signs; the higher one holds."""
    addresses: Annotated[tuple[Address, ...], Meta(max_length=MAX_ADDRESSES)]
    """Multiaddrs without `/p2p/`."""
    shard: Annotated[int, Meta(ge=0, le=(1 << 16) - 1)]
    """The shard of the data that the peer reads."""
    outer_step: Annotated[int, Meta(ge=0, le=MAX_PROGRESS)] | None = None
    """How far the peer has come; None before its trainer has begun."""
    away: bool = False
    """It has made no inner steps lately, or has not mixed since: others know better how far the run is."""
    relay: bool = False
    """The peer lets those reach others through it who cannot be dialled."""
    goodbye: bool = False
    """The peer has left; the record takes it out of every view."""


class SignedRecord(Message, frozen=True):
    """A record's canonical bytes and its peer's signature over them."""

    record: Annotated[bytes, Meta(max_length=MAX_RECORD)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]


def sign_record(record: PeerRecord, signer: Identity) -> SignedRecord:
    """Sign a record of the signer's own."""
    data = encode(record)
    return SignedRecord(record=data, signature=signer.sign("peer record", data))


def open_record(sealed: SignedRecord, run_id: bytes) -> PeerRecord:
    """Return the record inside, once its schema, its run and its signature have been checked.

    Raises:
        ProtocolError: not of the schema, of another run, or not signed by the peer that it names.
    """
    record = decode(sealed.record, PeerRecord, MAX_RECORD)
    if record.run_id != run_id:
        raise ProtocolError("the record belongs to another run")
    identity.verify(identity.public_key_of(record.peer_id), "peer record", sealed.record, sealed.signature)
    return record
