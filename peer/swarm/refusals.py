"""Names what was wrong with a share that was refused: a trainer's reasons hold figures, a label must not."""

from typing import Literal

Refusal = Literal["not finite", "too far", "points elsewhere", "wrong shape", "bad average", "unreadable"]
"""`unreadable` is whatever does not decode; `bad average` is what the fewer members of a group have made."""

TOO_FAR: tuple[Refusal, ...] = ("too far", "points elsewhere")
"""Those of a share that would be fit if we were where its peer is."""

_ONE_AVERAGE = "the average of part"

_TELLING: tuple[tuple[str, Refusal], ...] = (
    ("not finite", "not finite"),
    ("points elsewhere", "points elsewhere"),
    ("differs from ours", "too far"),
    ("has shape", "wrong shape"),
    ("tensors, ours", "wrong shape"),
)
"""Words of the reasons that `peer.outer.gate` gives, the most telling first."""


def kind_of(reason: str) -> Refusal:
    """Return the kind of a refusal from the trainer's reason for it."""
    if reason.startswith(_ONE_AVERAGE):
        return "bad average"
    return next((kind for words, kind in _TELLING if words in reason), "unreadable")
