"""The bounds on what strangers announce hold what honest peers send, and little more."""

import pytest

from peer.codec.formats import MODULO_BLOCK, bounds_size, failed_size, modulo_size
from peer.swarm.share_sizes import ShareSizes
from protocol.fragments import fragments
from protocol.manifest import Manifest, Model, Outer
from protocol.sizes import SLACK


def _manifest(preset, count):
    return Manifest(founder=bytes(32), model=Model(layers=4), outer=Outer(preset=preset, fragments=count))


@pytest.mark.parametrize(("preset", "tensors"), [("noloco", 1), ("gossip", 2)])
@pytest.mark.parametrize("count", [1, 4])
def test_each_fragment_has_bounds_of_its_own(preset, tensors, count):
    manifest = _manifest(preset, count)
    sizes = ShareSizes(manifest)
    assert sizes.fragments == count
    for part in fragments(manifest):
        at, values = part.index, part.values
        assert sizes.body(at, "fp32") == tensors * (4 * values + SLACK)
        assert sizes.bounds(at) == tensors * (bounds_size(values) + SLACK)
        assert sizes.failed(at) == tensors * (failed_size(values) + SLACK)
        assert sizes.encoded(at, "modulo", 4) == tensors * modulo_size(values, 4) <= sizes.body(at, "modulo")
        assert sizes.encoded(at, "fp32", 0) == tensors * 4 * values


def test_as_many_blocks_come_again_as_were_asked_for():
    sizes = ShareSizes(_manifest("gossip", 1))
    assert sizes.again(0, 3) == 3 * 4 * MODULO_BLOCK + 2 * SLACK
    assert sizes.again(0, 1 << 40) <= sizes.body(0, "fp32") + 2 * SLACK + 4 * 2 * MODULO_BLOCK
