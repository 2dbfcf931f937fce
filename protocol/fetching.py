"""What daemon and trainer say to each other of what the trainer fetches by itself: rows, a base model."""

from typing import Annotated

from msgspec import Meta

from protocol.codec import Message


class Download(Message, frozen=True, tag="download"):
    """To the trainer: fetch no more than so many bytes a second. Heard at once, whatever is done."""

    rate: Annotated[float, Meta(gt=0)]


class Fetched(Message, frozen=True, tag="fetched"):
    """From the trainer: so many bytes have come since the last such word."""

    size: Annotated[int, Meta(ge=0)]
