import hashlib

import pytest
import torch

from peer.codec.registry import get
from peer.trainer import spool
from peer.trainer.replica import Replica
from peer.trainer.sharing import MAX_OPEN, Sharing
from protocol.manifest import Manifest
from protocol.trainer import Share, Theirs
from tests.peer.trainer.tiny import manifest, replica


class Pair:
    """Two replicas at their first boundary, each with its own spool folder."""

    def __init__(self, folder, run: Manifest) -> None:
        self.replicas = [replica(run, shard) for shard in range(2)]
        self.folders = [folder / "0", folder / "1"]
        self.sharings = []
        for one, spool_folder in zip(self.replicas, self.folders, strict=True):
            spool_folder.mkdir()
            self.sharings.append(Sharing(one, spool_folder, run.codecs))

    def boundary(self) -> list[Share]:
        shares = []
        for one, sharing in zip(self.replicas, self.sharings, strict=True):
            for _ in range(4):
                one.take_inner_step()
            shares.append(sharing.publish(one.take_outer_step()))
        return shares

    def deliver(self, to: int, theirs: Share, ours: Share) -> Theirs:
        """Carry the partner's file into the spool of `to`."""
        content = (self.folders[1 - to] / theirs.file).read_bytes()
        (self.folders[to] / "theirs").write_bytes(content)
        return Theirs(share=ours.share, file="theirs", codec=theirs.codec)


@pytest.fixture(params=["fp32", "bf16", "int8"])
def codecs(request):
    return (request.param,)


def state(one: Replica) -> torch.Tensor:
    assert one.outer is not None
    return torch.stack((one.theta, one.outer.phi, one.outer.momentum)).double()


@pytest.mark.parametrize("preset", ["noloco", "gossip"])
def test_an_exchange_keeps_the_mean_under_every_codec(tmp_path, preset, codecs):
    pair = Pair(tmp_path, manifest(preset, codecs=codecs))
    shares = pair.boundary()
    before = [state(one) for one in pair.replicas]
    for to in (0, 1):
        mixed, _ = pair.sharings[to].land(pair.deliver(to, shares[1 - to], shares[to]))
        assert mixed.accepted
        assert 0 < mixed.relative_distance < 1
        assert mixed.late_by == 0
    after = [state(one) for one in pair.replicas]
    torch.testing.assert_close(sum(after), sum(before), atol=2e-6, rtol=0)
    apart = [(states[0] - states[1]).norm() for states in (before, after)]
    assert apart[1] < apart[0]


def test_a_share_is_what_its_message_says(tmp_path, codecs):
    pair = Pair(tmp_path, manifest("gossip", codecs=codecs))
    share = pair.boundary()[0]
    content = (pair.folders[0] / share.file).read_bytes()
    assert (share.size, share.sha256) == (len(content), hashlib.sha256(content).digest())
    assert (share.inner_step, share.outer_step, share.fresh) == (4, 1, True)
    assert share.size == 2 * get(codecs[0]).format.encoded_size(pair.replicas[0].theta.numel())


def test_a_mixed_share_is_refreshed_as_often_as_the_rule_mixes(tmp_path):
    pair = Pair(tmp_path, manifest("gossip", mixes=2))
    shares = pair.boundary()
    files = [pair.deliver(to, shares[1 - to], shares[to]) for to in (0, 1)]
    _, refreshed = pair.sharings[0].land(files[0])
    assert refreshed is not None
    assert (refreshed.share, refreshed.fresh, refreshed.outer_step) == (shares[0].share + 1, False, 1)
    phi, momentum = torch.empty(2, pair.replicas[0].theta.numel()).unbind()
    spool.read(pair.folders[0] / refreshed.file, get("fp32"), (phi, momentum))
    assert pair.replicas[0].outer is not None
    torch.testing.assert_close(phi, pair.replicas[0].outer.phi)
    torch.testing.assert_close(momentum, pair.replicas[0].outer.momentum)
    _, again = pair.sharings[0].land(pair.deliver(0, shares[1], refreshed))
    assert again is None
    assert not pair.sharings[0].waiting


def test_inner_steps_in_flight_are_kept_and_a_late_mix_refreshes_nothing(tmp_path):
    pair = Pair(tmp_path, manifest("noloco", mixes=2))
    first = pair.boundary()
    second = pair.boundary()
    one = pair.replicas[0]
    one.take_inner_step()
    before = state(one)
    mixed, refreshed = pair.sharings[0].land(pair.deliver(0, first[1], first[0]))
    moved = state(one) - before
    assert mixed.accepted
    assert mixed.late_by == 5
    assert refreshed is None
    torch.testing.assert_close(moved[0], moved[1], atol=1e-6, rtol=0)
    assert pair.sharings[0].waiting
    pair.sharings[0].drop(second[0].share)
    assert not pair.sharings[0].waiting


def test_no_more_than_two_shares_stay_open(tmp_path):
    pair = Pair(tmp_path, manifest())
    rounds = [pair.boundary() for _ in range(MAX_OPEN + 1)]
    mixed, _ = pair.sharings[0].land(pair.deliver(0, rounds[0][1], rounds[0][0]))
    assert not mixed.accepted
    assert "no longer kept" in mixed.reason
    assert mixed.ours
    assert pair.sharings[0].land(pair.deliver(0, rounds[1][1], rounds[1][0]))[0].accepted
    assert pair.sharings[0].land(pair.deliver(0, rounds[2][1], rounds[2][0]))[0].accepted


HOSTILE = {
    "not finite": lambda values: values.index_fill(0, torch.tensor([3]), float("nan")),
    "bytes as fp32": lambda values: values[:-1],
    "differs from ours": lambda values: values + 100,
}


@pytest.mark.parametrize("reason", HOSTILE)
def test_a_hostile_share_changes_nothing(tmp_path, reason):
    pair = Pair(tmp_path, manifest())
    shares = pair.boundary()
    before = state(pair.replicas[0])
    theirs = pair.deliver(0, shares[1], shares[0])
    values = HOSTILE[reason](pair.replicas[1].theta.clone())
    (pair.folders[0] / "theirs").write_bytes(values.numpy().tobytes())
    mixed, refreshed = pair.sharings[0].land(theirs)
    assert not mixed.accepted
    assert reason in mixed.reason
    assert not mixed.ours
    assert refreshed is None
    assert torch.equal(state(pair.replicas[0]), before)
    assert not (pair.folders[0] / "theirs").exists()
    assert pair.sharings[0].land(pair.deliver(0, shares[1], shares[0]))[0].accepted


def test_what_is_missing_or_not_allowed_is_refused(tmp_path):
    pair = Pair(tmp_path, manifest())
    share = pair.boundary()[0].share
    for theirs, ours in (
        (Theirs(share=share, file="absent", codec="fp32"), True),
        (Theirs(share=share, file="absent", codec="int8"), False),
        (Theirs(share=share + 7, file="absent", codec="fp32"), True),
    ):
        mixed, _ = pair.sharings[0].land(theirs)
        assert (mixed.accepted, mixed.ours) == (False, ours)
