"""How `identity.key` is written: a warning that names the peer, and its secret seed."""

import re

from peer.errors import IdentityError
from protocol.identity import Identity

_FORM = re.compile(r"# Murmuration identity of (\S+): who has this file is this peer\n([0-9a-f]{64})\n")

_REMEDY = "Put back a copy of it, or remove it to go on under a new PeerID"


def write_identity(identity: Identity) -> str:
    """Return the file's text."""
    warning = f"# Murmuration identity of {identity.peer_id}: who has this file is this peer"
    return f"{warning}\n{identity.seed.hex()}\n"


def parse_identity(text: str, name: str) -> Identity:
    """Return the identity that the file `name` holds.

    Raises:
        IdentityError: the text is not of the form, or its seed is not that of the PeerID it names.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise IdentityError(f"{name} is damaged: it is not an identity file", _REMEDY)
    identity = Identity(bytes.fromhex(match[2]))
    if identity.peer_id != match[1]:
        raise IdentityError(f"{name} is damaged: its seed is not that of {match[1]}", _REMEDY)
    return identity
