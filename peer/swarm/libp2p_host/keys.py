"""Our identity as libp2p wants it."""

from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.keys import KeyPair
from libp2p.peer.id import ID

from peer.swarm.transport import TransportError
from protocol.errors import ProtocolError
from protocol.identity import Identity, public_key_of


def key_pair_of(identity: Identity) -> KeyPair:
    """Return the libp2p key pair of an identity.

    Raises:
        ValueError: libp2p derives another PeerID from the same seed; peers would not recognise each other.
    """
    pair = create_new_key_pair(identity.seed)
    derived = ID.from_pubkey(pair.public_key).to_base58()
    if derived != identity.peer_id:
        raise ValueError(f"libp2p calls this key {derived}, we call it {identity.peer_id}")
    return pair


def libp2p_id(peer_id: str) -> ID:
    """Return libp2p's form of a PeerID.

    Raises:
        TransportError: not the PeerID of an Ed25519 key.
    """
    try:
        public_key_of(peer_id)
    except ProtocolError as error:
        raise TransportError(str(error)) from error
    return ID.from_base58(peer_id)
