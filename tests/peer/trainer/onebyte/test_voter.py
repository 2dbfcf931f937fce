import pytest
import torch

from peer.errors import TrainerError
from peer.trainer import checkpoint
from peer.trainer.evaluate import held_out_loss
from peer.trainer.fitting import Fitting
from peer.trainer.notes import Key, Notes
from protocol.trainer import Log
from tests.peer.trainer.onebyte.small import ME, OTHER, bits, run, voter
from tests.peer.trainer.tiny import MODEL, corpus, run_id


def _log(key, ballots):
    return Log(voter=key, start=0, votes=b"".join(ballot.votes for ballot in ballots))


def test_the_loss_falls_and_a_newcomer_replays_it_bit_for_bit():
    manifest = run(steps=150)
    one = voter(manifest)
    before = held_out_loss(one.net, corpus().held_out, MODEL.context)
    ballots = [one.cast() for _ in range(150)]
    assert held_out_loss(one.net, corpus().held_out, MODEL.context) < before - 0.02
    assert one.counters.inner_step == 150 == one.last_step
    newcomer = voter(manifest, OTHER)
    newcomer.count([_log(ME, ballots)])
    assert torch.equal(bits(newcomer.theta), bits(one.theta))
    assert newcomer.votes == one.votes == 600


def test_two_voters_agree_however_their_votes_cross():
    manifest = run()
    one, other = voter(manifest, ME), voter(manifest, OTHER, shard=1)
    mine = [one.cast() for _ in range(5)]
    theirs = [other.cast() for _ in range(3)]
    other.count([_log(ME, mine)])
    theirs.append(other.cast())
    one.count([_log(OTHER, theirs)])
    assert torch.equal(bits(one.theta), bits(other.theta))
    assert (one.counters.inner_step, other.counters.inner_step) == (5, 4)


def test_a_checkpoint_goes_on_where_it_stood(tmp_path):
    manifest = run()
    one = voter(manifest)
    one.count([Log(voter=OTHER, start=0, votes=bytes(range(50, 90)))])
    one.cast()
    checkpoint.save(tmp_path, run_id(manifest), one.contents())
    saved = checkpoint.newest(tmp_path, run_id(manifest))
    again = voter(manifest)
    again.restore(saved)
    assert torch.equal(bits(again.theta), bits(one.theta))
    assert again.cast().votes == one.cast().votes
    assert torch.equal(bits(again.theta), bits(one.theta))


def test_a_checkpoint_before_the_first_vote_can_be_read(tmp_path):
    manifest = run()
    one = voter(manifest)
    checkpoint.save(tmp_path, run_id(manifest), one.contents())
    one.restore(checkpoint.newest(tmp_path, run_id(manifest)))
    assert one.votes == 0


def test_the_ledger_is_right_where_the_checkpoint_differs():
    """The daemon died before it had signed our last votes, and knows of others meanwhile."""
    manifest = run()
    one = voter(manifest)
    ballots = [one.cast() for _ in range(3)]
    one.count([Log(voter=bytes([3] * 32), start=0, votes=b"gone")])
    ledger = [_log(ME, ballots[:2]), Log(voter=OTHER, start=0, votes=b"new")]
    one.count_exactly(ledger)
    fresh = voter(manifest, OTHER)
    fresh.count(ledger)
    assert torch.equal(bits(one.theta), bits(fresh.theta))
    assert one.counters.inner_step == 2


def test_a_step_that_was_cut_is_not_taken_twice():
    """A disk that filled up kept half a step: its other half stays empty."""
    one = voter(run())
    one.count([Log(voter=ME, start=0, votes=b"abcdef")])
    assert one.counters.inner_step == 2
    ballot = one.cast()
    assert (ballot.start, len(ballot.votes), ballot.votes[:2]) == (6, 6, bytes(2))
    assert one.votes == 12


def test_a_model_that_is_lost_says_so():
    one = voter(run())
    one._tally.first.fill_(float("nan"))
    one.count([])
    with pytest.raises(TrainerError, match=r"onebyte\.learning_rate"):
        one.cast()


def _fitted(one, folder):
    key = Key(device="test", memory=None, run="ab", batch=4)
    told = []
    one.fitting = Fitting(one.theta.device, 0, Notes(folder, key), told.append)
    return told


def test_a_batch_that_passes_in_parts_casts_the_same_votes(tmp_path):
    manifest = run()
    whole, parts = voter(manifest), voter(manifest)
    told = _fitted(parts, tmp_path)
    parts.fitting.settle(1, 4, "found")
    for _ in range(3):
        wanted, found = whole.cast(), parts.cast()
        assert abs(float(wanted.loss) - float(found.loss)) < 1e-5
        # A slope that rounds to one byte may round to the next one.
        assert all(abs(a - b) <= 1 for a, b in zip(wanted.votes, found.votes, strict=True))
    assert [each.micro_batch for each in told] == [1]


def test_what_fits_is_found_and_changes_nothing(tmp_path):
    manifest = run()
    one, plain = voter(manifest), voter(manifest)
    told = _fitted(one, tmp_path)
    assert one.cast().votes == plain.cast().votes
    assert torch.equal(bits(one.theta), bits(plain.theta))
    assert [(each.micro_batch, each.how) for each in told] == [(4, "found")]


def test_a_step_in_which_memory_runs_out_is_taken_all_the_same(tmp_path):
    """It ends between two directions, with the weights moved along one of them."""
    manifest = run()
    one, plain = voter(manifest), voter(manifest)
    told = _fitted(one, tmp_path)
    one.fitting.settle(4, 4, "found")
    passes = []

    def scarce(net, tokens):
        passes.append(len(tokens[0]))
        if len(passes) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    hook = one.net.register_forward_pre_hook(scarce)
    found, wanted = one.cast(), plain.cast()
    hook.remove()
    assert all(abs(a - b) <= 1 for a, b in zip(wanted.votes, found.votes, strict=True))
    assert passes[:3] == [4, 4, 4]
    assert set(passes[3:]) == {2}
    assert [each.how for each in told] == ["found", "lowered"]
    other = voter(manifest, OTHER)
    other.count([_log(ME, [found])])
    assert torch.equal(bits(other.theta), bits(one.theta)), (
        "what the votes say is in the weights, and no more"
    )
