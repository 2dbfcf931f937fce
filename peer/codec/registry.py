"""The codecs by name. Only `get` imports torch, so the daemon may name and agree on codecs."""

from collections.abc import Sequence

from peer.codec.base import Codec, CodecError
from peer.codec.formats import FORMATS


def names() -> tuple[str, ...]:
    """Return every codec's name, the exact one first."""
    return tuple(FORMATS)


def agree(mine: Sequence[str], theirs: Sequence[str]) -> str | None:
    """Return the first of `mine` that is in `theirs` too, or None.

    Two sides that rank codecs differently agree only if both pass the same side's list as `mine`.
    """
    return next((name for name in mine if name in theirs), None)


def get(name: str) -> Codec:
    """Return the codec of that name.

    Raises:
        CodecError: there is none.
    """
    from peer.codec.floats import Bf16, Fp32
    from peer.codec.int8 import Int8

    for codec in (Fp32(), Bf16(), Int8()):
        if codec.format.name == name:
            return codec
    raise CodecError(f"no codec is called {name!r}; there are {', '.join(names())}")
