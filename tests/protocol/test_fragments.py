from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.fragments import due, fragments
from protocol.manifest import Manifest, Model, Outer
from protocol.sizes import parameters


def _manifest(layers: int, count: int, every: int = 50) -> Manifest:
    return Manifest(founder=bytes(32), model=Model(layers=layers), outer=Outer(fragments=count, every=every))


@given(st.integers(1, 24).flatmap(lambda layers: st.tuples(st.just(layers), st.integers(1, layers))))
def test_every_parameter_is_in_one_fragment(shape):
    manifest = _manifest(*shape)
    ranges = sorted(piece for part in fragments(manifest) for piece in part.ranges)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == parameters(manifest)
    assert all(stop == start for (_, stop), (start, _) in pairwise(ranges))


def test_one_fragment_is_the_whole_model_at_the_boundary():
    (whole,) = fragments(_manifest(4, 1))
    assert (whole.offset, whole.ranges) == (0, ((0, parameters(_manifest(4, 1))),))


def test_layers_are_dealt_in_strides_with_embedding_and_norm_at_the_ends():
    manifest = _manifest(4, 2)
    first, second = fragments(manifest)
    layer = 4 * 128**2 + 3 * 128 * 352 + 2 * 128
    embedding = 256 * 128
    assert first.ranges == ((0, embedding + layer), (embedding + 2 * layer, embedding + 3 * layer))
    assert second.ranges[-1] == (embedding + 3 * layer, parameters(manifest))
    assert first.values + second.values == parameters(manifest)


@given(st.integers(1, 16), st.integers(16, 100))
def test_each_fragment_is_due_once_in_each_period(count, every):
    parts = fragments(_manifest(16, count, every))
    seen = [due(parts, every, step) for step in range(1, every + 1)]
    assert [part for part in seen if part is not None] == list(parts)


@pytest.mark.parametrize(("count", "steps"), [(1, [20]), (2, [10, 20]), (3, [6, 13, 20])])
def test_offsets_are_spread_over_the_period(count, steps):
    parts = fragments(_manifest(3, count, 20))
    assert [step for step in range(1, 21) if due(parts, 20, step)] == steps
