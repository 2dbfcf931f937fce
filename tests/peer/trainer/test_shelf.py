"""How shares come and go, fragment by fragment."""

import threading

import pytest
import torch

from peer.errors import TrainerError
from tests.peer.trainer.peers import exchange, give, mix_group, peers
from tests.peer.trainer.tiny import manifest


@pytest.mark.parametrize(
    ("preset", "codec", "body", "reference"),
    [
        ("noloco", "int8", True, False),
        ("gossip", "modulo", False, False),
        ("gossip", "auto", False, False),
        ("diloco", "int8", False, True),
        ("streaming-diloco", "ecsq", False, True),
    ],
)
def test_what_a_share_brings_depends_on_who_mixes_and_how(tmp_path, preset, codec, body, reference):
    one, other = peers(tmp_path, manifest(preset, codecs=(codec,)))
    first, second = one.boundary(), other.boundary()
    assert (first.body is not None, first.reference is not None) == (body, reference)
    assert first.codec == codec
    assert first.reference == second.reference


def test_a_reference_tells_slow_weights_apart_to_the_bit(tmp_path):
    group = peers(tmp_path, manifest("diloco"), 3)
    moved = group[1].replica.outer
    assert moved is not None
    moved.momentum[7] += 1e-30
    one, other, same = (peer.boundary() for peer in group)
    assert one.reference == same.reference
    assert one.reference != other.reference


@pytest.mark.parametrize("preset", ["gossip", "diloco"])
def test_nothing_touches_the_weights_out_of_turn(tmp_path, preset):
    one, other = peers(tmp_path, manifest(preset))
    shares = [one.boundary(), other.boundary()]
    before = one.state()
    with one.sharing.turns.training():
        thread = threading.Thread(target=mix, args=(preset, one, other, shares))
        thread.start()
        while not one.sharing.turns.wanted:
            pass
        assert torch.equal(one.state(), before)
        one.sharing.turns.give()
        assert not torch.equal(one.state(), before)
        with one.sharing.turns.given():
            thread.join()


def mix(preset, one, other, shares):
    if preset == "gossip":
        one.mix_with(shares[0], other, shares[1])
    else:
        mix_group([one, other], shares, "fp32", together=True)


def test_it_waits_for_the_boundaries_shares_alone(tmp_path):
    one, other = peers(tmp_path, manifest("streaming-gossip", codecs=("modulo",), mixes=2))
    first = [one.boundary(), other.boundary()]
    second = [one.boundary(), other.boundary()]
    refreshed = exchange(one, other, first, "fp32")
    assert one.sharing.waiting
    assert refreshed[0] is not None
    one.sharing.drop(second[0].share)
    assert not one.sharing.waiting
    exchange(one, other, [refreshed[0], first[1]] if refreshed[1] is None else [*refreshed], "fp32")


def test_bounds_are_a_fragments_own_and_stay_with_their_share(tmp_path):
    one, other = peers(tmp_path, manifest("streaming-gossip", codecs=("modulo",), mixes=1))
    exchange(one, other, [one.boundary(), other.boundary()], "fp32")
    second = [one.boundary(), other.boundary()]
    assert second[0].bounds is None
    third = [one.boundary(), other.boundary()]
    assert third[0].fragment == 0
    assert third[0].bounds is not None
    sent = one.bytes(third[0].bounds)
    exchange(one, other, second, "fp32")
    exchange(one, other, third, "modulo")
    fifth = one.boundary(), one.boundary()
    assert fifth[1].bounds is not None
    assert one.bytes(fifth[1].bounds) != sent


def test_bounds_shrink_with_the_outer_steps_and_not_with_each_mix(tmp_path):
    one, other = peers(tmp_path, manifest("gossip", codecs=("modulo",), mixes=3))
    exchange(one, other, [one.boundary(), other.boundary()], "fp32")
    share = one.boundary()
    standing = one.sharing._shelf._standing[share.fragment]
    known = []
    for mixed in range(3):
        assert share is not None
        assert share.mixed == mixed
        assert standing.bounds is not None
        known.append(standing.bounds[0].largest())
        # As near as a partner can be: whatever it has of us, we get back.
        give(one, share, one, share, "fp32")
        _, share = one.mix(share, None, "fp32")
    assert share is None
    assert standing.bounds is not None
    known.append(standing.bounds[0].largest())
    first, second, third, last = known
    assert (second <= first).all()
    assert (second < 0.9 * first).any()
    torch.testing.assert_close(third, second, rtol=0.1, atol=0)
    torch.testing.assert_close(last, second, rtol=0.1, atol=0)
    assert (third >= second).all()
    assert (last >= third).all()


@pytest.mark.parametrize(("preset", "codec"), [("noloco", "fp32"), ("gossip", "modulo"), ("diloco", "fp32")])
def test_weights_that_are_not_finite_are_not_shared(tmp_path, preset, codec):
    one, _ = peers(tmp_path, manifest(preset, codecs=(codec,)))
    one.boundary()
    one.replica.theta[5] = float("inf")
    boundary = one.replica.take_outer_step(one.replica.fragments[0])
    assert boundary is not None
    with pytest.raises(TrainerError, match="diverged"):
        one.sharing.publish(boundary)


def test_tokens_are_those_since_the_fragments_last_step(tmp_path):
    one, _ = peers(tmp_path, manifest("streaming-gossip"))
    assert [one.boundary().tokens for _ in range(4)] == [2 * 64, 4 * 64, 4 * 64, 4 * 64]
    assert torch.isfinite(one.replica.theta).all()
