import pytest
from msgspec.structs import replace

from tests.peer.trainer.tiny import INNER, manifest, replica


@pytest.mark.parametrize("kind", ["adamw", "muon", "sgd"])
def test_inner_steps_do_not_count_as_changes_that_other_ranks_must_be_sent(kind):
    """Every rank takes them; whatever else changes the weights must count, or ranks would drift apart."""
    one = replica(replace(manifest("noloco"), inner=replace(INNER, kind=kind)))
    before, weights = one.theta._version, one.theta.clone()
    for _ in range(4):
        one.take_inner_step()
    assert not one.theta.equal(weights)
    assert one.theta._version == before
    one.take_outer_step(one.due)
    assert one.theta._version > before
