import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.plan.shape import flops_a_token, memory, shape
from protocol.manifest import Model
from protocol.sizes import model_parameters


@settings(max_examples=50, deadline=None)
@given(st.floats(1e7, 5e10), st.sampled_from([256, 32768]))
def test_a_shape_has_nearly_the_size_and_divides_into_heads(parameters, vocabulary):
    model = shape(parameters, vocabulary, 1024)
    assert model_parameters(model, vocabulary) == pytest.approx(parameters, rel=0.2)
    assert model.width % (2 * model.heads) == 0
    assert 10 < model.width / model.layers < 400


def test_a_known_size_gets_known_proportions():
    model = shape(124e6, 50257, 1024)
    assert (model.layers, model.width) in {(10, 768), (11, 768), (12, 768), (12, 704), (11, 704)}


def test_a_token_costs_six_operations_a_parameter_and_attention():
    model = Model(layers=2, width=128, heads=2, hidden=352, context=128)
    assert flops_a_token(model, 256) == 6 * model_parameters(model, 256) + 12 * 2 * 128 * 128


def test_memory_is_seven_tensors():
    assert memory(1000) == 28000
