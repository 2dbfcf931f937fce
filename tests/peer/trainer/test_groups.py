"""Groups of more than two, and what their members end with."""

import pytest
import torch

from peer.swarm.refusals import kind_of
from protocol.trainer import Assemble, Member, Mixed, Parts, Reduce, Reduced, Split
from tests.peer.trainer.peers import Peer, mix_group, peers
from tests.peer.trainer.tiny import manifest

TOGETHER = ["fp32", "bf16", "int8", "ecsq", "e3m0", "topk"]


def slow(peer: Peer) -> torch.Tensor:
    """φ and m, to the bit."""
    assert peer.replica.outer is not None
    return torch.stack((peer.replica.outer.phi, peer.replica.outer.momentum))


def run(codec: str = "fp32", preset: str = "diloco", **outer):
    return manifest(preset, codecs=(codec,), **outer)


@pytest.mark.parametrize("codec", TOGETHER)
@pytest.mark.parametrize("preset", ["diloco", "streaming-diloco"])
def test_all_who_begin_alike_end_alike_to_the_bit(tmp_path, preset, codec):
    group = peers(tmp_path, run(codec, preset), 3)
    for _ in range(3):
        shares = [peer.boundary() for peer in group]
        assert len({share.reference for share in shares}) == 1
        assert shares[0].reference is not None
        assert all(mixed.accepted for mixed in mix_group(group, shares, codec, together=True))
        assert all(torch.equal(slow(peer), slow(group[0])) for peer in group)
        assert not any(peer.sharing.waiting for peer in group)
    if preset == "diloco":
        assert all(torch.equal(peer.replica.theta, slow(peer)[0]) for peer in group)


def test_a_group_of_everybody_is_diloco(tmp_path):
    group = peers(tmp_path, run(), 4)
    phi = group[0].replica.theta.double()
    momentum = torch.zeros_like(phi)
    for _ in range(2):
        shares, thetas = [], []
        for peer in group:
            for _ in range(4):
                peer.replica.take_inner_step()
            thetas.append(peer.replica.theta.double())
            boundary = peer.replica.take_outer_step(peer.replica.fragments[0])
            assert boundary is not None
            shares.append(peer.sharing.publish(boundary))
        pseudo_gradient = torch.stack(thetas).mean(dim=0) - phi
        momentum = 0.9 * momentum + pseudo_gradient
        phi = phi + 0.7 * (pseudo_gradient + 0.9 * momentum)
        mix_group(group, shares, "fp32", together=True)
        torch.testing.assert_close(slow(group[3])[0].double(), phi, atol=2e-6, rtol=0)
        torch.testing.assert_close(slow(group[3])[1].double(), momentum, atol=2e-6, rtol=0)


def test_weights_are_those_of_the_daemon(tmp_path):
    group = peers(tmp_path, run(), 3)
    start = group[0].state()[1]
    shares = [peer.boundary() for peer in group]
    ends = torch.stack([peer.state()[1] for peer in group])
    mixed = mix_group(group, shares, "fp32", together=True, weights=[1.0, 2.0, 5.0])
    weights = torch.tensor([1.0, 2.0, 5.0]).double() / 8
    torch.testing.assert_close(group[1].state()[1], weights @ ends, atol=2e-6, rtol=0)
    assert not torch.allclose(group[1].state()[1], start, atol=1e-4)
    assert all(0 < each.relative_distance < 1 for each in mixed)


def test_a_member_that_drops_out_is_left_behind_and_drawn_back_in(tmp_path):
    group = peers(tmp_path, run("int8", overlap=True), 4)
    shares = [peer.boundary() for peer in group]
    assert len(mix_group(group, shares, "int8", together=True, absent=2)) == 3
    there = [peer for number, peer in enumerate(group) if number != 2]
    assert all(torch.equal(slow(peer), slow(there[0])) for peer in there)
    assert not torch.equal(slow(group[2]), slow(there[0]))
    group[2].sharing.drop(shares[2].share)

    shares = [peer.boundary() for peer in group]
    assert len({share.reference for share in shares}) == 2
    assert all(mixed.accepted for mixed in mix_group(group, shares, "bf16", together=False))
    assert all(torch.equal(slow(peer), slow(group[0])) for peer in group)

    shares = [peer.boundary() for peer in group]
    assert len({share.reference for share in shares}) == 1


@pytest.mark.parametrize("preset", ["noloco", "gossip", "streaming-gossip", "diloco"])
def test_who_did_not_begin_alike_averages_what_the_step_made(tmp_path, preset):
    group = peers(tmp_path, run(preset=preset, group=4), 3)
    for peer in group:  # a skip each, and they differ
        peer.sharing.drop(peer.boundary().share)
    if len(group[0].replica.fragments) > 1:
        for peer in group:
            peer.sharing.drop(peer.boundary().share)
    shares = [peer.boundary() for peer in group]
    assert len({share.reference for share in shares}) == 3
    before = torch.stack([slow(peer) for peer in group]).double().mean(dim=0)
    mix_group(group, shares, "fp32", together=False)
    after = torch.stack([slow(peer) for peer in group])
    torch.testing.assert_close(after.double().mean(dim=0), before, atol=2e-6, rtol=0)
    fragment = group[0].replica.fragments[shares[0].fragment]
    for start, stop in fragment.ranges:
        assert all(torch.equal(each[:, start:stop], after[0][:, start:stop]) for each in after)


@pytest.mark.parametrize("together", [True, False])
def test_what_was_learned_in_flight_is_kept(tmp_path, together):
    group = peers(tmp_path, run(preset="diloco", overlap=True), 3)
    shares = [peer.boundary() for peer in group]
    restarted = [peer.state()[0] for peer in group]
    for peer in group:
        peer.replica.take_inner_step()
    learned = [peer.state()[0] - start for peer, start in zip(group, restarted, strict=True)]
    mixed = mix_group(group, shares, "fp32", together=together)
    assert [each.late_by for each in mixed] == [1, 1, 1]
    assert all(torch.equal(slow(peer), slow(group[0])) for peer in group)
    for peer, more in zip(group, learned, strict=True):
        theta, phi, _ = peer.state()
        torch.testing.assert_close(theta, phi + more, atol=1e-6, rtol=0)


def test_a_group_that_comes_after_the_next_boundary_still_counts_once(tmp_path):
    group = peers(tmp_path, run(preset="diloco", overlap=True), 3)
    late = [peer.boundary() for peer in group]
    own = [slow(peer).double() for peer in group]
    for peer in group:
        peer.boundary()
    before = [peer.state() for peer in group]
    mix_group(group, late, "fp32", together=True)
    mean = torch.stack(own).mean(dim=0)
    for peer, was, mine in zip(group, before, own, strict=True):
        moved = peer.state() - was
        torch.testing.assert_close(moved[1:], mean - mine, atol=2e-6, rtol=0)
        torch.testing.assert_close(moved[0], moved[1], atol=2e-6, rtol=0)


def test_a_blend_of_a_group_lands_once(tmp_path):
    group = peers(tmp_path, run("fp32", "diloco", landing="blend"), 3)
    shares = [peer.boundary() for peer in group]
    kept = [peer.state()[0] for peer in group]
    mix_group(group, shares, "fp32", together=True)
    for peer, theta in zip(group, kept, strict=True):
        fast, phi, _ = peer.state()
        torch.testing.assert_close(fast, (theta + phi) / 2, atol=1e-6, rtol=0)


def test_what_topk_leaves_out_is_sent_later(tmp_path):
    group = peers(tmp_path, run("topk"), 3)
    shares = [peer.boundary() for peer in group]
    assert group[0].replica.residual is not None
    mix_group(group, shares, "topk", together=True)
    left = group[0].replica.residual.clone()
    assert left.norm() > 0
    # Parts that were cut and led to nothing leave what is still to be sent as it was.
    share = group[0].boundary()
    group[0].ask(Split(share=share.share, parts=3, codec="topk", together=True), Parts)
    assert torch.equal(group[0].replica.residual, left)


# ---- hostile and mistaken


def test_an_unfit_part_is_left_out_of_the_average(tmp_path):
    group = peers(tmp_path, run(), 3)
    shares = [peer.boundary() for peer in group]
    one = group[0]
    parts = [
        peer.ask(Split(share=share.share, parts=2, codec="fp32", together=True), Parts).parts
        for peer, share in zip(group, shares, strict=True)
    ]
    fit = [peer.bytes(cut[0]) for peer, cut in zip(group, parts, strict=True)]
    nan = torch.full((len(fit[0]) // 4,), float("nan")).numpy().tobytes()
    far = torch.full((len(fit[0]) // 4,), 50.0).numpy().tobytes()
    sent = (fit[0], nan, b"", far, fit[1], b"\0" * 17)
    members = tuple(Member(file=one.take(part), weight=1.0) for part in sent)
    reduced = one.ask(Reduce(share=shares[0].share, part=0, members=members), Reduced)
    assert reduced.refused == (1, 2, 3, 5)
    assert reduced.body is not None
    mean = torch.frombuffer(bytearray(one.bytes(reduced.body)), dtype=torch.float32)
    both = torch.stack([torch.frombuffer(bytearray(part), dtype=torch.float32) for part in (fit[0], fit[1])])
    torch.testing.assert_close(mean, both.mean(dim=0))
    for weight in (float("inf"), -1.0):
        lone = (Member(file=one.take(fit[0]), weight=weight),)
        assert one.ask(Reduce(share=shares[0].share, part=0, members=lone), Reduced).body is None
    newcomer = (Member(file=one.take(fit[0]), weight=0.0),)
    alone = one.ask(Reduce(share=shares[0].share, part=0, members=newcomer), Reduced)
    assert alone.body is not None
    assert one.bytes(alone.body) == fit[0], "a newcomer counts for nothing only beside others"
    assert one.ask(Reduce(share=shares[0].share, part=2, members=members), Reduced).body is None


def test_a_hostile_average_changes_nothing(tmp_path):
    group = peers(tmp_path, run(), 3)
    shares = [peer.boundary() for peer in group]
    one, share = group[0], shares[0]
    own = one.ask(Split(share=share.share, parts=3, codec="fp32", together=True), Parts).parts
    fit = [one.bytes(part) for part in own]
    before = one.state()
    far = torch.full((len(fit[1]) // 4,), 50.0).numpy().tobytes()
    for means, reason, kind in (
        ((fit[0], far, fit[2]), "part 1", "bad average"),
        ((fit[0], b"", fit[2]), "part 1", "bad average"),
        ((fit[0], far, far), "2 of 3 averages, the average of part 1", "too far"),
        ((fit[0],) * 4, "3 parts", "unreadable"),
    ):
        names = tuple(one.take(mean) for mean in means)
        mixed = one.ask(Assemble(share=share.share, parts=names, weight=0.5), Mixed)
        assert not mixed.accepted
        assert reason in mixed.reason
        assert kind_of(mixed.reason) == kind
        assert torch.equal(one.state(), before)
    good = tuple(one.take(mean) for mean in fit)
    assert one.ask(Assemble(share=share.share, parts=good, weight=0.5), Mixed).accepted


@pytest.mark.parametrize(
    ("codec", "together", "parts"),
    [("ecsq", False, 3), ("modulo", True, 3), ("fp32", True, 64), ("auto", True, 2)],
)
def test_a_split_that_cannot_be_is_empty(tmp_path, codec, together, parts):
    one, *_ = peers(tmp_path, run("ecsq"), 1)
    share = one.boundary()
    answer = one.ask(Split(share=share.share, parts=parts, codec=codec, together=together), Parts)
    assert len(answer.parts) == (64 if codec == "fp32" else 0)


def test_pairs_do_not_mix_where_groups_do(tmp_path):
    one, _ = peers(tmp_path, run())
    share = one.boundary()
    mixed, _ = one.mix(share, one.take(bytes(8)), "fp32")
    assert (mixed.accepted, mixed.ours) == (False, True)
