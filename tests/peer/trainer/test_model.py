import math

import pytest
import torch

from peer.trainer.model import build, parameter_count, rotary_table, rotate
from protocol.manifest import Model
from tests.peer.trainer.tiny import MODEL


def test_the_seed_alone_names_the_first_weights():
    torch.manual_seed(1)
    first = build(MODEL, 256, seed=7).state_dict()
    torch.manual_seed(2)
    same, other = build(MODEL, 256, seed=7).state_dict(), build(MODEL, 256, seed=8).state_dict()
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["embed_tokens.weight"], other["embed_tokens.weight"])


@pytest.mark.parametrize("model", [MODEL, Model(), Model(layers=1, width=48, heads=3, hidden=100)])
def test_parameters_are_counted_without_building(model):
    net = build(model, 300, seed=0)
    assert parameter_count(model, 300) == sum(parameter.numel() for parameter in net.parameters())


def test_untrained_loss_is_near_that_of_a_uniform_guess():
    tokens = torch.randint(256, (8, 33), generator=torch.Generator().manual_seed(0))
    assert build(MODEL, 256, seed=0)(tokens).item() == pytest.approx(math.log(256), abs=0.3)


def test_a_token_sees_nothing_after_it():
    net = build(MODEL, 256, seed=0)
    tokens = torch.arange(20)[None]
    changed = tokens.clone()
    changed[0, 12:] += 100
    before, after = net.logits(tokens), net.logits(changed)
    torch.testing.assert_close(before[:, :12], after[:, :12])
    assert not torch.allclose(before[:, 12:], after[:, 12:])


def test_rotary_products_depend_on_the_distance_alone():
    cos, sin = rotary_table(40, 8, 10000.0)
    q, k = torch.randn(2, 8, generator=torch.Generator().manual_seed(0)).unbind()
    near, far = (rotate(q, cos[at + 5], sin[at + 5]) @ rotate(k, cos[at], sin[at]) for at in (0, 30))
    torch.testing.assert_close(near, far)
    assert float(rotate(q, cos[9], sin[9]).norm()) == pytest.approx(float(q.norm()), rel=1e-5)


def test_names_are_those_of_llama():
    names = {name for name, _ in build(MODEL, 256, seed=0).named_parameters() if "layers.1" in name}
    assert names == {
        f"layers.1.{name}.weight"
        for name in (
            "input_layernorm",
            "post_attention_layernorm",
            *(f"self_attn.{part}_proj" for part in "qkvo"),
            *(f"mlp.{part}_proj" for part in ("gate", "up", "down")),
        )
    }
