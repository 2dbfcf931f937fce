"""What a peer asks to learn how fast the way to another is, and whether their clocks agree."""

from typing import Annotated

from msgspec import Meta

from protocol.codec import Message

MAX_UP = 128 * 1024
"""Bytes that one call brings; a control message is the largest frame."""

MAX_DOWN = 1024 * 1024
"""Bytes that one call asks for."""


class AskBytes(Message, frozen=True, tag="ask_bytes"):
    """Send me so many bytes, whichever."""

    length: Annotated[int, Meta(ge=1, le=MAX_DOWN)]


class TakeBytes(Message, frozen=True, tag="take_bytes"):
    """Take these bytes, and forget them."""

    data: Annotated[bytes, Meta(max_length=MAX_UP)]


MeasureCall = AskBytes | TakeBytes


class Taken(Message, frozen=True, tag="taken"):
    """The answer to `TakeBytes`."""

    clock: Annotated[float, Meta(ge=0.0, le=1e11)]
    """Seconds since 1970, by my clock."""


MeasureAnswer = Taken
