"""Shares that everybody reads alike, and what is refused."""

import hashlib

import pytest
import torch

from peer.codec.registry import get
from peer.trainer import spool
from peer.trainer.shelf import MAX_OPEN
from protocol.trainer import (
    Assemble,
    Encode,
    EncodeAgain,
    Encoded,
    Member,
    Mixed,
    Open,
    OpenAgain,
    Opened,
    Parts,
    Reduce,
    Reduced,
    Split,
    Theirs,
)
from tests.peer.trainer.peers import THETA, TWO_TENSORS, peers
from tests.peer.trainer.tiny import manifest


@pytest.fixture(params=["fp32", "bf16", "int8"])
def codecs(request):
    return (request.param,)


@pytest.mark.parametrize(
    ("preset", "shared"),
    [
        ("noloco", THETA),
        ("gossip", THETA),
        ("streaming-gossip", THETA),
        ("gossip", TWO_TENSORS),
        ("streaming-gossip", TWO_TENSORS),
    ],
)
def test_an_exchange_keeps_the_mean_under_every_codec(tmp_path, preset, shared, codecs):
    pair = peers(tmp_path, manifest(preset, codecs=codecs), shares=shared)
    for _ in range(2):
        shares = [peer.boundary() for peer in pair]
        before = [peer.state() for peer in pair]
        for one, other, ours, theirs in zip(pair, pair[::-1], shares, shares[::-1], strict=True):
            mixed, _ = one.mix_with(ours, other, theirs)
            assert mixed.accepted
            assert 0 < mixed.relative_distance < 1
            assert mixed.late_by == 0
        after = [peer.state() for peer in pair]
        torch.testing.assert_close(sum(after), sum(before), atol=2e-6, rtol=0)
        apart = [(states[0] - states[1]).norm() for states in (before, after)]
        assert apart[1] < apart[0]


@pytest.mark.parametrize("shared", [THETA, TWO_TENSORS])
def test_a_share_is_what_its_message_says(tmp_path, shared, codecs):
    one, _ = peers(tmp_path, manifest("gossip", codecs=codecs), shares=shared)
    share = one.boundary()
    assert share.body is not None
    content = one.bytes(share.body)
    assert (share.body.size, share.body.sha256) == (len(content), hashlib.sha256(content).digest())
    assert (share.inner_step, share.outer_step, share.fragment) == (4, 1, 0)
    assert (share.fresh, share.mixed) == (True, 0)
    assert (share.tokens, share.bounds, share.reference) == (4 * 64, None, None)
    assert share.body.size == len(shared) * get(codecs[0]).format.encoded_size(one.replica.theta.numel())


def test_a_fragments_share_holds_its_parameters_alone(tmp_path):
    one, _ = peers(tmp_path, manifest("streaming-gossip"))
    for index, inner_step in ((0, 2), (1, 4), (0, 6)):
        share = one.boundary()
        assert (share.fragment, share.inner_step) == (index, inner_step)
        assert share.body is not None
        assert share.body.size == 4 * one.replica.fragments[index].values
    assert share.outer_step == 3
    assert share.tokens == 4 * 64


def test_a_mixed_share_is_refreshed_as_often_as_the_rule_mixes(tmp_path):
    one, other = peers(tmp_path, manifest("gossip", mixes=2), shares=TWO_TENSORS)
    ours, theirs = one.boundary(), other.boundary()
    _, refreshed = one.mix_with(ours, other, theirs)
    assert refreshed is not None
    assert (refreshed.share, refreshed.fresh, refreshed.outer_step) == (ours.share + 1, False, 1)
    assert refreshed.mixed == 1
    phi, momentum = torch.empty(2, one.replica.theta.numel()).unbind()
    assert refreshed.body is not None
    spool.read(one.folder / refreshed.body.file, get("fp32"), (phi, momentum))
    assert one.replica.outer is not None
    torch.testing.assert_close(phi, one.replica.outer.phi)
    torch.testing.assert_close(momentum, one.replica.outer.momentum)
    _, again = one.mix_with(refreshed, other, theirs)
    assert again is None
    assert not one.sharing.waiting


def test_a_refreshed_share_of_fast_weights_is_the_mean_of_those_that_were_mixed(tmp_path):
    pair = peers(tmp_path, manifest("gossip", mixes=3))
    shares = [peer.boundary() for peer in pair]
    _, refreshed = pair[0].mix_with(shares[0], pair[1], shares[1])
    assert refreshed is not None
    read = []
    for peer, share in ((pair[0], shares[0]), (pair[1], shares[1]), (pair[0], refreshed)):
        assert share.body is not None
        theta = torch.empty_like(peer.replica.theta)
        spool.read(peer.folder / share.body.file, get("fp32"), (theta,))
        read.append(theta)
    torch.testing.assert_close(read[2], (read[0] + read[1]) / 2)
    _, again = pair[0].mix_with(refreshed, pair[1], shares[1])
    assert again is not None
    assert again.mixed == 2


def test_inner_steps_in_flight_are_kept_and_a_late_mix_refreshes_nothing(tmp_path):
    one, other = peers(tmp_path, manifest("noloco", mixes=2))
    first, theirs = one.boundary(), other.boundary()
    second = one.boundary()
    one.replica.take_inner_step()
    before = one.state()
    mixed, refreshed = one.mix_with(first, other, theirs)
    moved = one.state() - before
    assert mixed.accepted
    assert mixed.late_by == 5
    assert refreshed is None
    torch.testing.assert_close(moved[0], moved[1], atol=1e-6, rtol=0)
    assert one.sharing.waiting
    one.sharing.drop(second.share)
    assert not one.sharing.waiting


def test_no_more_than_two_shares_of_a_fragment_stay_open(tmp_path):
    one, other = peers(tmp_path, manifest("streaming-gossip"))
    theirs = [other.boundary() for _ in range(2)]
    ours = [one.boundary() for _ in range(2 * MAX_OPEN + 2)]
    for share in ours[:2]:
        mixed, _ = one.mix_with(share, other, theirs[share.fragment])
        assert (mixed.accepted, mixed.ours) == (False, True)
        assert "no longer kept" in mixed.reason
    for share in ours[2:]:
        assert one.mix_with(share, other, theirs[share.fragment])[0].accepted


def test_a_share_that_a_partner_may_mix_with_outlives_its_time_and_no_other_does(tmp_path):
    one, other = peers(tmp_path, manifest())
    theirs = other.boundary()
    promised = one.boundary()
    one.sharing.keep(promised.share)
    others = [one.boundary() for _ in range(2 * MAX_OPEN)]
    one.sharing.keep(others[-1].share)
    latest = [one.boundary() for _ in range(1)]
    assert not one.mix_with(promised, other, theirs)[0].accepted, "the next promise ended the first"
    one.sharing.keep(latest[0].share)
    latest += [one.boundary() for _ in range(2 * MAX_OPEN)]
    assert one.mix_with(latest[0], other, theirs)[0].accepted
    assert not one.mix_with(latest[1], other, theirs)[0].accepted


@pytest.mark.parametrize(("tokens", "weight"), [(0, 0.1), (256, 0.5), (768, 0.75), (2**60, 0.9)])
def test_shares_count_by_the_tokens_trained_for_them(tmp_path, tokens, weight):
    one, other = peers(tmp_path, manifest("gossip", weights="tokens"))
    ours, theirs = one.boundary(), other.boundary()
    assert theirs.body is not None
    apart, before = other.state() - one.state(), one.state()
    _, refreshed = one.mix(ours, one.take(other.bytes(theirs.body)), "fp32", tokens)
    torch.testing.assert_close(one.state(), before + weight * apart, atol=1e-6, rtol=0)
    assert refreshed is not None
    assert refreshed.tokens == (256 + min(tokens, 9 * 256)) // 2
    assert refreshed.standing == 64


# ---- blended


def test_a_blend_lands_once_whether_or_not_a_mix_comes(tmp_path):
    one, other = peers(tmp_path, manifest("noloco", landing="blend", mixes=2))
    ours, theirs = one.boundary(), other.boundary()
    kept = one.state()
    assert not torch.equal(kept[0], kept[1])
    mixed, refreshed = one.mix_with(ours, other, theirs)
    assert mixed.accepted
    after = one.state()
    torch.testing.assert_close(after[0], (kept[0] + after[1]) / 2, atol=1e-6, rtol=0)
    assert refreshed is not None
    one.sharing.drop(refreshed.share)
    assert torch.equal(one.state(), after)

    before = other.state()
    other.sharing.drop(theirs.share)
    torch.testing.assert_close(other.state()[0], (before[0] + before[1]) / 2, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("late", "kept"), [(0, 0.0), (1, 0.25), (3, 0.5)])
def test_what_a_blend_keeps_follows_the_delay(tmp_path, late, kept):
    one, other = peers(tmp_path, manifest("noloco", landing="blend_by_delay"))
    ours, theirs = one.boundary(), other.boundary()
    for _ in range(late):
        one.replica.take_inner_step()
    theta, *before = one.state()
    assert one.mix_with(ours, other, theirs)[0].accepted
    after, phi, _ = one.state()
    assert not torch.equal(phi, before[0])
    torch.testing.assert_close(after, kept * theta + (1 - kept) * phi, atol=1e-6, rtol=0)


def test_a_blend_by_delay_that_no_word_came_of_keeps_the_most(tmp_path):
    one, _ = peers(tmp_path, manifest("noloco", landing="blend_by_delay", alpha=0.0, beta=1.0))
    one.boundary()
    for _ in range(4):
        one.replica.take_inner_step()
    theta, phi, _ = one.state()
    fragment = one.replica.fragments[0]
    one.replica.take_outer_step(fragment)
    torch.testing.assert_close(one.state()[1], (theta + phi) / 2, atol=1e-6, rtol=0)


def test_a_blend_that_no_word_came_of_lands_at_the_next_boundary(tmp_path):
    run = manifest("noloco", landing="blend")
    one, other = peers(tmp_path, run)
    first = one.boundary()
    one.boundary()
    for _ in range(4):
        other.replica.take_inner_step()
    fragment = other.replica.fragments[0]
    other.replica.take_outer_step(fragment)
    late = one.state()
    one.sharing.drop(first.share)
    assert torch.equal(one.state(), late)


# ---- hostile and mistaken


HOSTILE = {
    "not finite": lambda values: values.index_fill(0, torch.tensor([3]), float("nan")),
    "bytes as fp32": lambda values: values[:-1],
    "differs from ours": lambda values: values + 100,
}


@pytest.mark.parametrize("reason", HOSTILE)
def test_a_hostile_share_changes_nothing(tmp_path, reason):
    one, other = peers(tmp_path, manifest())
    ours, theirs = one.boundary(), other.boundary()
    before = one.state()
    file = one.take(HOSTILE[reason](other.replica.theta.clone()).numpy().tobytes())
    mixed, refreshed = one.mix(ours, file, "fp32")
    assert not mixed.accepted
    assert reason in mixed.reason
    assert not mixed.ours
    assert refreshed is None
    assert torch.equal(one.state(), before)
    assert not (one.folder / file).exists()
    assert one.mix_with(ours, other, theirs)[0].accepted


def test_what_is_missing_or_not_allowed_is_refused(tmp_path):
    one, _ = peers(tmp_path, manifest())
    share = one.boundary()
    for number, codec, file, ours in (
        (share.share, "fp32", "absent", True),
        (share.share, "int8", "absent", False),
        (share.share, "fp32", None, True),
        (share.share + 7, "fp32", "absent", True),
    ):
        (mixed,) = one.sharing.answer(Theirs(share=number, file=file, codec=codec, tokens=0, standing=64))
        assert isinstance(mixed, Mixed)
        assert (mixed.accepted, mixed.ours) == (False, ours)


@pytest.mark.parametrize("beyond", [0, 8])
def test_a_question_that_does_not_fit_is_answered_all_the_same_and_its_files_are_gone(tmp_path, beyond):
    one, _ = peers(tmp_path, manifest())
    number = one.boundary().share + beyond
    files = [one.take(b"\xff" * 40) for _ in range(6)]
    questions = (
        (Encode(share=number, codec="topk", bits=99, bounds=files[0]), Encoded),
        (EncodeAgain(share=number, failed=files[1]), Encoded),
        (Open(share=number, file=files[2], codec="modulo"), Opened),
        (OpenAgain(share=number, file=files[3]), Opened),
        (Split(share=number, parts=3, codec="fp32", together=True), Parts),
        (Reduce(share=number, part=7, members=(Member(file=files[4], weight=1.0),)), Reduced),
        (Assemble(share=number, parts=(files[5], "absent"), weight=0.5), Mixed),
    )
    before = one.state()
    for question, kind in questions:
        answer = one.ask(question, kind)
        assert getattr(answer, "body", None) is None
        assert getattr(answer, "parts", ()) == ()
        assert getattr(answer, "reason", "none") != ""
    assert torch.equal(one.state(), before)
    assert not any((one.folder / name).exists() for name in files)
