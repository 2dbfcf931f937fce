"""The bounds on what strangers announce hold what honest peers send, and little more."""

import pytest

from peer.codec.formats import MODULO_BLOCK, bounds_size, failed_size, modulo_size
from peer.swarm.share_sizes import ShareSizes
from protocol.fragments import fragments
from protocol.manifest import Manifest, Model, Outer
from protocol.sizes import SLACK


def _manifest(preset, count):
    return Manifest(founder=bytes(32), model=Model(layers=4), outer=Outer(preset=preset, fragments=count))


@pytest.mark.parametrize("count", [1, 4])
def test_each_fragment_has_bounds_of_its_own(count):
    manifest = _manifest("gossip", count)
    sizes = ShareSizes(manifest)
    assert sizes.fragments == count
    for part in fragments(manifest):
        at, values = part.index, part.values
        assert sizes.body(at, "fp32") == 4 * values + SLACK
        assert sizes.bounds(at) == bounds_size(values) + SLACK
        assert sizes.failed(at) == failed_size(values) + SLACK
        assert sizes.encoded(at, "modulo", 4) == modulo_size(values, 4) <= sizes.body(at, "modulo")
        assert sizes.encoded(at, "fp32", 0) == 4 * values


def test_as_many_blocks_come_again_as_were_asked_for():
    sizes = ShareSizes(_manifest("gossip", 1))
    assert sizes.again(0, 3) == 3 * 4 * MODULO_BLOCK + SLACK
    assert sizes.again(0, 1 << 40) <= sizes.body(0, "fp32") + SLACK + 4 * MODULO_BLOCK
