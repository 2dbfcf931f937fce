"""What rank 0 says to the others, as bytes."""

import pytest
import torch

from peer.trainer.parts import tensors
from peer.trainer.ranks.words import (
    FRAME,
    Layout,
    Leave,
    Rest,
    State,
    Step,
    Weights,
    describe,
    from_frame,
    make_room,
    to_frame,
)
from protocol.errors import ProtocolError

TOKENS = torch.arange(12).view(3, 4)
BATCHES = [
    TOKENS,
    (TOKENS, TOKENS.bool()),
    {"tokens": TOKENS.to(torch.int32), "weights": torch.ones(3, dtype=torch.bfloat16)},
]


def step(examples=TOKENS, most=2):
    kind, layout = describe(examples)
    return Step(kind=kind, layout=layout, most=most, step=7, own_step=3)


@pytest.mark.parametrize("word", [step(), step(most=None), Weights(), State(own_steps=5), Rest(), Leave()])
def test_a_word_arrives_as_it_was_said(word):
    frame = to_frame(word)
    assert frame.shape == (FRAME,)
    assert from_frame(frame) == word


@pytest.mark.parametrize("examples", BATCHES)
def test_room_for_a_batch_of_any_kind(examples):
    made = make_room(step(examples))
    assert type(made) is type(examples)
    assert describe(made) == describe(examples)
    for there, here in zip(tensors(made), tensors(examples), strict=True):
        assert (there.shape, there.dtype) == (here.shape, here.dtype)


def test_a_batch_of_too_many_tensors_is_refused():
    layout = tuple(Layout(name=f"column-{number}", dtype="int64", shape=(1,)) for number in range(500))
    with pytest.raises(ValueError, match="too long"):
        to_frame(Step(kind="dict", layout=layout, most=1, step=0, own_step=0))


def test_noise_is_no_word():
    with pytest.raises(ProtocolError):
        from_frame(torch.full((FRAME,), 7, dtype=torch.uint8))
