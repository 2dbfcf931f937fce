"""The codecs by name. Only `get` imports torch, so the daemon may name and agree on codecs."""

from collections.abc import Collection, Sequence

from peer.codec.base import Codec, CodecError
from peer.codec.formats import FORMATS, Reference

EVERY_REFERENCE: Collection[Reference] = ("none", "phi", "receiver")


def names(references: Collection[Reference] = EVERY_REFERENCE) -> tuple[str, ...]:
    """Return the name of every codec that codes against one of `references`, the exact one first."""
    return tuple(name for name, known in FORMATS.items() if known.reference in references)


def agree(
    mine: Sequence[str], theirs: Sequence[str], references: Collection[Reference] = EVERY_REFERENCE
) -> str | None:
    """Return the first of `mine` that is in `theirs` too, or None.

    Two sides that rank codecs differently agree only if both pass the same side's list as `mine`.

    Args:
        mine: codecs by name, the preferred way first; one that is not known here counts for nothing.
        theirs: codecs by name.
        references: what both sides can code against: a pair has no common φ, a group no one receiver.
    """
    usable = names(references)
    return next((name for name in mine if name in theirs and name in usable), None)


def get(name: str) -> Codec:
    """Return the codec of that name.

    Raises:
        CodecError: there is none, or it is `modulo`, whose functions need the receiver's values.
    """
    from peer.codec.e3m0 import E3m0
    from peer.codec.ecsq import Ecsq
    from peer.codec.floats import Bf16, Fp32
    from peer.codec.int8 import Int8
    from peer.codec.topk import TopK

    if name == "modulo":
        raise CodecError("'modulo' codes against the receiver's values: use peer.codec.modulo")
    for codec in (Fp32(), Bf16(), Int8(), Ecsq(), E3m0(), TopK()):
        if codec.format.name == name:
            return codec
    raise CodecError(f"no codec is called {name!r}; there are {', '.join(names())}")
