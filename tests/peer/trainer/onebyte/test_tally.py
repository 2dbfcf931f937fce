import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.trainer.onebyte.tally import Tally
from protocol.trainer import Log
from tests.peer.trainer.onebyte.small import ME, OTHER, bits, run

SIZE = 500
FIRST = torch.randn(SIZE, generator=torch.Generator().manual_seed(0))
RUN = run(warmup=3, final_ratio=0.1, steps=10)
THIRD = bytes([3] * 32)

logs = st.dictionaries(st.sampled_from([ME, OTHER, THIRD]), st.binary(max_size=40), min_size=1)


def weights(tally):
    out = torch.empty(SIZE)
    tally.write_weights(out)
    return bits(out)


def told(pieces):
    tally = Tally(RUN, FIRST)
    for log in pieces:
        tally.take([log])
    return tally


@settings(max_examples=40)
@given(logs, st.lists(st.integers(1, 7), min_size=1), st.randoms())
def test_equal_sets_give_equal_bits_in_whatever_order_and_pieces_they_came(sets, lengths, chance):
    at_once = Tally(RUN, FIRST)
    at_once.take([Log(voter=voter, start=0, votes=votes) for voter, votes in sets.items()])
    queues = dict.fromkeys(sets, 0)
    pieces = []
    while queues:
        voter = chance.choice(sorted(queues))
        start, length = queues[voter], chance.choice(lengths)
        pieces.append(Log(voter=voter, start=start, votes=sets[voter][start : start + length]))
        queues[voter] += length
        if queues[voter] >= len(sets[voter]):
            del queues[voter]
    piecewise = told(pieces)
    assert piecewise.logs == at_once.logs
    assert torch.equal(piecewise.total, at_once.total)
    assert torch.equal(weights(piecewise), weights(at_once))


@settings(max_examples=40)
@given(logs)
def test_a_vote_that_comes_twice_counts_once(sets):
    news = [Log(voter=voter, start=0, votes=votes) for voter, votes in sets.items()]
    tally = told(news)
    before = weights(tally)
    assert tally.take(news) == 0
    assert torch.equal(weights(tally), before)


@settings(max_examples=40)
@given(st.binary(max_size=20), st.binary(max_size=20), st.integers(0, 20))
def test_a_log_that_is_replaced_leaves_no_trace(before, after, start):
    start = min(start, len(before))
    tally = told([Log(voter=ME, start=0, votes=before), Log(voter=ME, start=start, votes=after)])
    fresh = told([Log(voter=ME, start=0, votes=before[:start] + after)])
    assert tally.logs == fresh.logs
    assert torch.equal(tally.total, fresh.total)


def test_a_withdrawn_log_brings_the_first_weights_back():
    tally = told([Log(voter=ME, start=0, votes=bytes(range(1, 30)))])
    assert not torch.equal(weights(tally), bits(FIRST))
    tally.take([Log(voter=ME, start=0, votes=b"")])
    assert torch.equal(weights(tally), bits(FIRST))


def test_a_vote_moves_every_weight_against_the_slope_by_the_rate():
    manifest = run(clip=2.0)
    tally = Tally(manifest, torch.zeros(SIZE))
    tally.take([Log(voter=ME, start=0, votes=bytes([127]))])
    out = torch.empty(SIZE)
    tally.write_weights(out)
    step = manifest.onebyte.learning_rate * 2.0
    torch.testing.assert_close(out.abs(), torch.full((SIZE,), step))
    assert torch.equal(out.sign(), -tally.total.sign().float())
