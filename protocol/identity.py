"""A peer's name is its key: PeerIDs, signatures, and the check that they belong together.

The text form is libp2p's (peer-ids specification): base58btc of an identity multihash over the
protobuf-encoded Ed25519 public key. The key can therefore be read back out of the name.
"""

import base58
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocol.errors import ProtocolError

_PREFIX = bytes.fromhex("0024080112" + "20")
"""Multihash code identity, 36 bytes long; protobuf: key type 1 (Ed25519), 32 bytes of key."""

SEED_BYTES = 32
KEY_BYTES = 32
SIGNATURE_BYTES = 64


class Identity:
    """An Ed25519 key pair, made from its 32-byte seed.

    Attributes:
        seed: the private part. Never leaves the peer's home folder.
        public_key: 32 raw bytes.
        peer_id: the public name, `12D3Koo...`.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.seed = seed
        self.public_key = self._key.public_key().public_bytes_raw()
        self.peer_id = peer_id_of(self.public_key)

    def sign(self, context: str, data: bytes) -> bytes:
        """Sign `data` for one purpose, so that a signature for another purpose cannot stand in for it."""
        return self._key.sign(_in_context(context, data))


def peer_id_of(public_key: bytes) -> str:
    """Return the PeerID of a raw 32-byte Ed25519 public key."""
    return base58.b58encode(_PREFIX + public_key).decode("ascii")


def public_key_of(peer_id: str) -> bytes:
    """Return the raw public key that a PeerID holds.

    Raises:
        ProtocolError: not the PeerID of an Ed25519 key.
    """
    # A PeerID of this kind has 52 characters; base58 costs quadratic time, so length comes first.
    if len(peer_id) > 64:
        raise ProtocolError("PeerID is too long")
    try:
        raw = base58.b58decode(peer_id)
    except ValueError as error:
        raise ProtocolError(f"PeerID {peer_id!r} is not base58") from error
    if len(raw) != len(_PREFIX) + KEY_BYTES or not raw.startswith(_PREFIX):
        raise ProtocolError(f"PeerID {peer_id!r} does not hold an Ed25519 key")
    return raw[len(_PREFIX) :]


def verify(public_key: bytes, context: str, data: bytes, signature: bytes) -> None:
    """Check a signature made by `Identity.sign` in the same context.

    Raises:
        ProtocolError: it was not made by this key over these bytes.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _in_context(context, data))
    except (InvalidSignature, ValueError) as error:
        raise ProtocolError(f"the signature of this {context} is wrong") from error


def _in_context(context: str, data: bytes) -> bytes:
    return b"murmuration/" + context.encode() + b"\0" + data
