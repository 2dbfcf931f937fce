"""Exchanges in which each side encodes for the other."""

import pytest
import torch

from peer.codec.formats import bounds_size, failed_size
from protocol.trainer import Encode, EncodeAgain, Encoded, Open, OpenAgain, Opened
from tests.peer.trainer.peers import THETA, TWO_TENSORS, Peer, exchange, give, give_again, peers
from tests.peer.trainer.tiny import manifest

RULES = [
    ("noloco", THETA),
    ("gossip", THETA),
    ("streaming-gossip", THETA),
    ("gossip", TWO_TENSORS),
    ("streaming-gossip", TWO_TENSORS),
]


def modulo(preset: str = "gossip", **outer):
    return manifest(preset, codecs=("modulo",), **outer)


def total(pair: list[Peer]) -> torch.Tensor:
    return torch.stack([peer.state() for peer in pair]).sum(dim=0)


@pytest.mark.parametrize("codec", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize(("preset", "shared"), RULES)
def test_a_first_exchange_without_bounds_keeps_the_mean(tmp_path, preset, shared, codec):
    pair = peers(tmp_path, modulo(preset), shares=shared)
    shares = [peer.boundary() for peer in pair]
    assert all(share.body is share.bounds is None for share in shares)
    before = total(pair)
    refreshed = exchange(*pair, shares, codec)
    torch.testing.assert_close(total(pair), before, atol=2e-6, rtol=0)
    for share, peer in zip(refreshed, pair, strict=True):
        assert share is not None
        assert share.bounds is not None
        values = peer.replica.fragments[share.fragment].values
        assert share.bounds.size == len(shared) * bounds_size(values)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize(("preset", "shared"), RULES)
def test_modulo_keeps_the_mean_and_brings_both_together(tmp_path, preset, shared, bits):
    pair = peers(tmp_path, modulo(preset, mixes=1), shares=shared)
    rounds = len(pair[0].replica.fragments)
    for _ in range(rounds):
        exchange(*pair, [peer.boundary() for peer in pair], "fp32")
    for _ in range(2 * rounds):
        shares = [peer.boundary() for peer in pair]
        assert all(share.bounds for share in shares)
        before, apart = total(pair), pair[0].state() - pair[1].state()
        exchange(*pair, shares, "modulo", bits)
        torch.testing.assert_close(total(pair), before, atol=5e-6, rtol=0)
        if bits > 3:
            assert (pair[0].state() - pair[1].state()).norm() < apart.norm()


def test_what_the_partner_decodes_is_what_is_mixed(tmp_path):
    one, other = peers(tmp_path, modulo("gossip", mixes=1), shares=TWO_TENSORS)
    exchange(one, other, [one.boundary(), other.boundary()], "int8")
    ours, theirs = one.boundary(), other.boundary()
    before, exact = one.state(), other.state()
    exchange(one, other, [ours, theirs], "modulo", bits=4)
    moved = one.state() - before
    # Half of the difference as both have quantised it: near the exact half, and not the same.
    half = (exact - before)[1:] / 2
    assert 0.01 < (moved[1:] - half).norm() / half.norm() < 1


def test_blocks_that_fail_come_again_and_are_exact(tmp_path):
    one, other = peers(tmp_path, modulo("noloco", mixes=1))
    exchange(one, other, [one.boundary(), other.boundary()], "fp32")
    ours, theirs = one.boundary(), other.boundary()
    assert ours.bounds is not None
    content = bytearray(one.bytes(ours.bounds))
    # Far too narrow for what has been learned since: the receiver expects the sender next to it.
    narrow = bytes([content[0]]) + bytes(len(content) - 1)
    share = one.sharing._shelf.find(ours.share)
    assert share.bounds is not None
    share.bounds = tuple(
        type(bounds).from_bytes(narrow, tensor.numel())
        for bounds, tensor in zip(share.bounds, share.values, strict=True)
    )
    opened = give(other, theirs, one, ours, "modulo", 2, narrow)
    assert 0 < opened.failed_blocks <= opened.blocks
    assert opened.failed is not None
    assert opened.failed.size == failed_size(one.replica.theta.numel())
    refused, _ = one.mix(ours, None, "modulo")
    assert not refused.accepted
    assert "failed" in refused.reason
    assert give_again(other, theirs, one, ours, opened).failed_blocks == 0
    assert theirs.bounds is not None
    give(one, ours, other, theirs, "modulo", 8, other.bytes(theirs.bounds))
    before = one.state() + other.state()
    for peer, share_ in ((one, ours), (other, theirs)):
        mixed, _ = peer.mix(share_, None, "modulo")
        assert mixed.accepted, mixed.reason
    torch.testing.assert_close(one.state() + other.state(), before, atol=2e-6, rtol=0)


def test_the_share_that_a_mix_leaves_is_what_the_next_partner_gets(tmp_path):
    first, second, third = peers(tmp_path, modulo("gossip", mixes=2), 3)
    shares = [peer.boundary() for peer in (first, second, third)]
    refreshed = exchange(first, second, shares[:2], "int8")
    assert refreshed[0] is not None
    assert refreshed[0].fresh is False
    before = total([first, third])
    exchange(first, third, [refreshed[0], shares[2]], "int8")
    torch.testing.assert_close(total([first, third]), before, atol=2e-6, rtol=0)


def test_a_partner_that_asks_after_another_has_failed_gets_its_own(tmp_path):
    one, gone, other = peers(tmp_path, modulo("gossip", mixes=1), 3)
    shares = [peer.boundary() for peer in (one, gone, other)]
    give(one, shares[0], gone, shares[1], "int8")
    give(gone, shares[1], one, shares[0], "int8")
    before = total([one, other])
    exchange(one, other, [shares[0], shares[2]], "fp32")
    torch.testing.assert_close(total([one, other]), before, atol=2e-6, rtol=0)


# ---- hostile


@pytest.mark.parametrize("base", [-90, 4, 20, 60])
def test_bounds_that_leave_little_of_our_share_stop_the_mix(tmp_path, base):
    one, other = peers(tmp_path, modulo("noloco"))
    exchange(one, other, [one.boundary(), other.boundary()], "fp32")
    ours, theirs = one.boundary(), other.boundary()
    assert ours.bounds is not None
    hostile = base.to_bytes(1, "little", signed=True) + bytes(ours.bounds.size - 1)
    give(one, ours, other, theirs, "modulo", 4, hostile)
    give(other, theirs, one, ours, "int8")
    before = one.state()
    mixed, _ = one.mix(ours, None, "int8")
    assert (mixed.accepted, mixed.ours) == (False, False)
    assert "under its bounds" in mixed.reason
    assert torch.equal(one.state(), before)


def test_bounds_and_bits_that_make_no_sense_are_refused(tmp_path):
    one, other = peers(tmp_path, modulo("noloco"))
    exchange(one, other, [one.boundary(), other.boundary()], "fp32")
    ours = one.boundary()
    assert ours.bounds is not None
    content = bytearray(one.bytes(ours.bounds))
    for bounds in (bytes([127]) + bytes(content[1:]), bytes([128]) + bytes(content[1:]), b"", bytes(3)):
        asked = Encode(share=ours.share, codec="modulo", bits=4, bounds=one.take(bounds))
        assert one.ask(asked, Encoded).body is None
    for bits in (0, 9, -1, 2**40):
        asked = Encode(share=ours.share, codec="modulo", bits=bits, bounds=one.take(bytes(content)))
        assert one.ask(asked, Encoded).body is None
    assert one.ask(Encode(share=ours.share, codec="modulo", bits=4, bounds=None), Encoded).body is None


def test_modulo_before_any_bounds_were_sent_is_refused(tmp_path):
    one, _ = peers(tmp_path, modulo())
    share = one.boundary()
    opened = one.ask(Open(share=share.share, file=one.take(bytes(99)), codec="modulo"), Opened)
    assert "we have sent none" in opened.reason
    assert not opened.ours


@pytest.mark.parametrize("content", [b"", bytes(1), bytes(10_000), b"\xff" * 10_001])
def test_bytes_that_are_no_message_are_refused(tmp_path, content):
    one, other = peers(tmp_path, modulo())
    exchange(one, other, [one.boundary(), other.boundary()], "fp32")
    ours = one.boundary()
    before = one.state()
    opened = one.ask(Open(share=ours.share, file=one.take(content), codec="modulo"), Opened)
    assert opened.reason
    assert not opened.ours
    again = one.ask(OpenAgain(share=ours.share, file=one.take(content)), Opened)
    assert "no block of it had failed" in again.reason
    encoded = one.ask(EncodeAgain(share=ours.share, failed=one.take(content)), Encoded)
    assert encoded.body is None
    mixed, _ = one.mix(ours, None, "modulo")
    assert (mixed.accepted, mixed.ours) == (False, True)
    assert torch.equal(one.state(), before)
