import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.codec.base import CodecError
from peer.codec.feedback import Feedback
from peer.codec.registry import get
from tests.peer.codec.tensors import tensors


@given(tensors(), st.floats(0, 1))
def test_one_step_by_hand(tensor: torch.Tensor, decay: float) -> None:
    tensor = tensor.clamp(-1e9, 1e9)
    feedback = Feedback(tensor.numel(), decay)
    before = torch.ones(tensor.numel())
    feedback.residual.copy_(before)
    data, sent = feedback.encode(get("topk"), tensor)
    wanted = torch.add(tensor, before, alpha=decay)
    assert torch.equal(sent, get("topk").decode(data, tensor.numel()))
    assert torch.equal(feedback.residual, wanted - sent)


@pytest.mark.parametrize("codec", ["topk", "ecsq", "e3m0"])
def test_without_decay_all_is_sent_in_the_end(codec: str) -> None:
    """What was sent and what waits are together what was wanted."""
    generator = torch.Generator().manual_seed(2)
    feedback, wanted, arrived = Feedback(5000, decay=1.0), torch.zeros(5000), torch.zeros(5000)
    for _ in range(200):
        delta = torch.randn(5000, generator=generator) + 0.3
        wanted += delta
        arrived += feedback.encode(get(codec), delta)[1]
    assert torch.allclose(arrived + feedback.residual, wanted, atol=1e-3)
    assert float((wanted - arrived).norm() / wanted.norm()) < 0.35


def test_an_exact_codec_leaves_nothing() -> None:
    feedback = Feedback(100)
    feedback.encode(get("fp32"), torch.randn(100))
    assert not feedback.residual.any()


def test_a_refused_tensor_leaves_the_residual() -> None:
    feedback = Feedback(2)
    feedback.residual.fill_(3)
    with pytest.raises(CodecError, match="index 1"):
        feedback.encode(get("topk"), torch.tensor([1.0, math.nan]))
    assert feedback.residual.tolist() == [3, 3]


def test_a_decay_of_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match=r"decay is 1\.1"):
        Feedback(1, 1.1)
