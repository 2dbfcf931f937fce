"""What rank 0 says to the others before every collective, so that all take part in the same ones."""

import struct
from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor

from peer.trainer.feed import Batch
from peer.trainer.parts import tensors
from protocol.codec import Message, decode, encode

FRAME = 4096
"""Bytes of a word: all have the same length, so that one broadcast brings one, whatever it is."""

_LENGTH = struct.Struct("<I")


class Layout(Message, frozen=True):
    """One tensor of a batch."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class Step(Message, frozen=True, tag="step"):
    """Take an inner step on the batch that follows, tensor by tensor."""

    kind: Literal["tensor", "tuple", "dict"]
    layout: tuple[Layout, ...]
    most: int | None
    """Examples in one pass; None: all find out how many fit into each one's memory."""
    step: int
    own_step: int


class Weights(Message, frozen=True, tag="weights"):
    """The fast weights follow: something other than an inner step has changed them."""


class State(Message, frozen=True, tag="state"):
    """The fast weights and the inner optimiser's moments follow: this is where training begins."""

    own_steps: int


class Rest(Message, frozen=True, tag="rest"):
    """No step will be made for a while."""


class Leave(Message, frozen=True, tag="leave"):
    """Training has ended."""


Word = Step | Weights | State | Rest | Leave


def to_frame(word: Word) -> Tensor:
    """Return a word as uint8 (FRAME,).

    Raises:
        ValueError: it is too long, as of a batch of hundreds of tensors.
    """
    said = encode(word)
    if len(said) + _LENGTH.size > FRAME:
        raise ValueError(f"a word of {len(said)} bytes is too long for {FRAME}")
    frame = bytearray(FRAME)
    frame[: _LENGTH.size + len(said)] = _LENGTH.pack(len(said)) + said
    return torch.frombuffer(frame, dtype=torch.uint8)


def from_frame(frame: Tensor) -> Word:
    """Return the word in a frame.

    Raises:
        ProtocolError: there is none.
    """
    data = frame.numpy().tobytes()
    (length,) = _LENGTH.unpack_from(data)
    return decode(data[_LENGTH.size : _LENGTH.size + length], cast("type[Word]", Word), FRAME)


def describe(examples: Batch) -> tuple[Literal["tensor", "tuple", "dict"], tuple[Layout, ...]]:
    """Return what another rank needs to know of a batch to make room for it."""
    names: Sequence[str] = tuple(examples) if isinstance(examples, dict) else [""] * len(tensors(examples))
    layout = tuple(
        Layout(name=name, dtype=str(each.dtype).removeprefix("torch."), shape=tuple(each.shape))
        for name, each in zip(names, tensors(examples), strict=True)
    )
    if isinstance(examples, dict):
        return "dict", layout
    return ("tuple" if isinstance(examples, tuple) else "tensor"), layout


def make_room(step: Step) -> Batch:
    """Return a batch of this layout, of any values."""
    empty = tuple(torch.empty(each.shape, dtype=getattr(torch, each.dtype)) for each in step.layout)
    if step.kind == "dict":
        return {each.name: made for each, made in zip(step.layout, empty, strict=True)}
    return empty if step.kind == "tuple" else empty[0]
