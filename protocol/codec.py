"""MessagePack with a schema: encode a struct, and decode bytes that may be hostile."""

import hashlib
from typing import TypeVar

import msgspec

from protocol.errors import ProtocolError

T = TypeVar("T")


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything that crosses a wire. A field that the schema does not name is an error."""


_encoder = msgspec.msgpack.Encoder(order="deterministic")


def encode(message: msgspec.Struct) -> bytes:
    """Return the canonical bytes of `message`: fields in the order of the schema, shortest forms."""
    return _encoder.encode(message)


def decode(data: bytes | memoryview, kind: type[T], limit: int) -> T:
    """Return the `kind` that `data` encodes.

    Raises:
        ProtocolError: longer than `limit` bytes, or not of the schema.
    """
    if len(data) > limit:
        raise ProtocolError(f"message of {len(data)} bytes, at most {limit} are allowed")
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"message is not of its schema: {error}") from error


def digest(data: bytes | memoryview) -> bytes:
    """Return the 32-byte SHA-256 by which objects and manifests are named."""
    return hashlib.sha256(data).digest()
