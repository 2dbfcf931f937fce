"""What a run moves a month, by its manifest and pace."""

import pytest

from peer.plan.exchange import exchanges, share_bytes
from peer.plan.reckon import MONTH
from peer.plan.run import choice_of
from peer.plan.traffic import month_bytes
from protocol.manifest import Manifest, Outer
from protocol.sizes import parameters


def manifest(preset="gossip"):
    return Manifest(founder=bytes(32), outer=Outer(preset=preset))


def test_it_is_the_exchanges_of_the_outer_steps_of_thirty_days():
    run = manifest()
    choice = choice_of(run)
    share = share_bytes(parameters(run), choice.codec, choice.bits)
    assert month_bytes(run, 4, 10.0) == pytest.approx(share * exchanges("gossip", 4) * MONTH / 10)
    assert month_bytes(run, 4, 20.0) == pytest.approx(month_bytes(run, 4, 10.0) / 2)


def test_who_is_alone_or_in_a_run_for_one_moves_nothing():
    assert month_bytes(manifest(), 1, 10.0) == 0
    assert month_bytes(manifest("solo"), 5, 10.0) == 0


def test_of_votes_no_law_tells():
    assert month_bytes(manifest("onebyte"), 5, 10.0) is None
