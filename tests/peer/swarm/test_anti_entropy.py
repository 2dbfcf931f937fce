"""Ledgers become equal: over memory links, on a virtual clock, whoever comes, goes, cheats or lies."""

import pytest
import trio

from peer.simulate.voters import Electorate
from peer.swarm.ledger import Ledger
from peer.swarm.service import Reply
from protocol.codec import encode
from protocol.identity import Identity
from protocol.ledger_calls import AskTally, AskVotes, TallyIs, VoterTally, VotesAre
from protocol.limits import MAX_MESSAGE, MAX_VOTERS, MAX_VOTES
from protocol.pages import PAGE, SignedVotes, sign_page


def _digests(voters):
    return {voter.ledger.digest() for voter in voters}


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(3))
async def test_sets_become_equal_while_peers_come_and_go(tmp_path, seed):
    electorate = Electorate(tmp_path, seed=seed)
    founder = electorate.enrol()
    others = [electorate.enrol(through=(founder,)) for _ in range(5)]
    # A peer that dies takes with it what it has told nobody; what it has told anybody stays.
    dying, late = others[:2], []

    async def churn():
        await trio.sleep(8)
        for voter in dying:
            electorate.kill(voter)
            late.append(electorate.enrol(through=(others[-1],)))
            nursery.start_soon(late[-1].live)
            await trio.sleep(2)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(churn)
        await electorate.run(60)
        nursery.cancel_scope.cancel()
    alive = [founder, *others[2:], *late]
    assert len(_digests(alive)) == 1
    assert founder.ledger.statistics().voters == 8
    assert founder.ledger.statistics().votes >= 600
    for voter in alive:
        own = voter.bird.identity.public_key
        assert founder.ledger.count(own) == 100
        assert not voter.bird.transport.statistics().handler_failures


@pytest.mark.anyio
async def test_news_spreads_in_a_few_rounds_and_costs_about_a_byte_a_vote(tmp_path):
    electorate = Electorate(tmp_path)
    founder = electorate.enrol(votes=0)
    others = [electorate.enrol(through=(founder,), votes=0) for _ in range(7)]
    log = bytes(range(256)) * (3 * PAGE // 256)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(electorate.run, 30)
        await trio.sleep(10)
        founder.cast(log)
        await trio.sleep(8)
        assert len(_digests(electorate.voters)) == 1
        nursery.cancel_scope.cancel()
    for voter in others:
        heard = voter.meetings.statistics()
        assert heard.votes_in >= len(log)
        assert heard.news_bytes_in < 1.05 * heard.votes_in


@pytest.mark.anyio
async def test_a_newcomer_with_nothing_catches_up_with_many_long_logs(tmp_path):
    """More than one message holds."""
    electorate = Electorate(tmp_path)
    founder = electorate.enrol(votes=0)
    newcomer = electorate.enrol(through=(founder,), votes=0)
    for index in range(20):
        signer = Identity(bytes([200 + index] * 32))
        for part in founder.ledger.sign(signer, founder.rng.randbytes(4 * PAGE)):
            founder.ledger.take(part)
    assert founder.ledger.statistics().votes > MAX_MESSAGE
    await electorate.run(10)
    assert newcomer.ledger.digest() == founder.ledger.digest()


@pytest.mark.anyio
@pytest.mark.parametrize("fork", [10, PAGE + 10])
@pytest.mark.parametrize("more", [0, 5, 2 * PAGE])
async def test_a_voter_that_tells_two_stories_counts_for_nobody(tmp_path, fork, more):
    electorate = Electorate(tmp_path, seed=fork + more)
    honest = [electorate.enrol(votes=30)]
    honest += [electorate.enrol(through=(honest[0],), votes=30) for _ in range(3)]
    cheat = electorate.enrol(votes=0).bird.identity
    electorate.voters.pop()
    one = bytes(fork) + b"one" + bytes(more)
    other = bytes(fork) + b"other"
    for voter, story in zip(honest[:2], (one, other), strict=True):
        for part in voter.ledger.sign(cheat, story):
            voter.ledger.take(part)
    await electorate.run(40)
    assert len(_digests(honest)) == 1
    for voter in honest:
        assert voter.ledger.guilty(cheat.public_key)
        assert voter.ledger.votes(cheat.public_key) == b""
        assert voter.ledger.statistics().votes == 4 * 30


class _Liar:
    """Answers with a tally that it cannot show the votes for, or with votes that nobody signed."""

    def __init__(self, voter, forged):
        self._tally = VoterTally(voter=voter, votes=50, digest=bytes(16), guilty=False)
        self._forged = forged

    async def tally(self, caller: str, call: AskTally) -> Reply:
        return TallyIs(voters=(self._tally,))

    async def votes(self, caller: str, call: AskVotes) -> Reply:
        forged = SignedVotes(voter=self._tally.voter, start=0, votes=bytes(50), signature=bytes(64))
        return VotesAre(news=(forged,) * self._forged)


@pytest.mark.anyio
@pytest.mark.parametrize("forged", [0, 1])
async def test_a_liar_costs_a_meeting_and_no_more(tmp_path, forged):
    electorate = Electorate(tmp_path)
    founder = electorate.enrol()
    honest = electorate.enrol(through=(founder,))
    liar = electorate.enrol(through=(founder,), votes=0)
    story = _Liar(bytes([9] * 32), forged)

    def lie(service):
        service.serve(AskTally, story.tally)
        service.serve(AskVotes, story.votes)

    liar.meetings.serve = lie
    await electorate.run(60)
    assert founder.ledger.digest() == honest.ledger.digest()
    assert founder.ledger.statistics().voters == 2
    if forged:
        assert founder.bird.swarm.view.avoided(liar.bird.identity.peer_id) > 0


@pytest.mark.anyio
async def test_what_a_stranger_gives_is_checked(tmp_path):
    electorate = Electorate(tmp_path)
    founder = electorate.enrol(votes=10)
    stranger = electorate.enrol(through=(founder,))
    forged = SignedVotes(voter=stranger.bird.identity.public_key, start=0, votes=b"abc", signature=bytes(64))
    stranger.ledger.parts = lambda voter, start: iter((forged,))
    stranger.ledger.voters = lambda: [bytes(32)]
    await electorate.run(20)
    assert founder.ledger.statistics().voters == 1
    assert founder.bird.transport.statistics().handler_failures


def test_the_largest_tally_and_the_largest_news_fit_a_message():
    tally = VoterTally(voter=bytes(32), votes=MAX_VOTES, digest=bytes(16), guilty=False)
    assert len(encode(TallyIs(voters=(tally,) * MAX_VOTERS))) < MAX_MESSAGE // 2
    signer = Identity(bytes(32))
    ledger = Ledger(bytes(32), MAX_VOTES)
    (part,) = ledger.sign(signer, bytes(PAGE))
    assert part.signature == sign_page(signer, bytes(32), 0, bytes(PAGE))
    assert len(encode(part)) < PAGE + 160
