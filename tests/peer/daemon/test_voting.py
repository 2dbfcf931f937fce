"""The daemon's side of a `onebyte` run, over memory links and with a trainer that only listens."""

import pytest
import trio

from peer.daemon.home import Home
from peer.daemon.voting import Voting
from peer.errors import HomeError
from peer.simulate.voters import Electorate
from peer.swarm.journal import Journal
from peer.swarm.ledger import Ledger
from protocol.codec import decode
from protocol.pages import Evidence, SignedVotes, sign_page
from protocol.trainer import Begin, Logs, Settled, Tallied, Voted, Votes
from protocol.votes import longest_log

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Peer:
    """A `Voting` in place of a simulated voter's own."""

    def __init__(self, voter, home):
        self.bird, self.told, self.events = voter.bird, [], []
        self.run_ = self.bird.swarm._run
        network = (self.bird.transport, self.bird.swarm)
        self.voting = Voting(self.bird.identity, self.run_, *network, self, home, self.events.append)
        self.ended = trio.Event()

    async def tell(self, message):
        self.told.append(message)
        if isinstance(message, Votes):
            path = self.bird.swarm.store.folder / message.file
            self.told[-1] = decode(path.read_bytes(), Logs, 1 << 20)
            self.voting.heard(Tallied(votes=0))
        elif isinstance(message, Settled):
            self.ended.set()


def _begin(peer):
    return Begin(
        manifest=peer.run_.manifest, peer_id="", home="", spool="", device="cpu", shard=0, stop_at=None,
        data_paths=(), tokenizer_path=None, weights_path=None, batch=None, state=None,
    )  # fmt: skip


def _vote(peer, votes, *, final=False):
    peer.voting.heard(Voted(start=0, votes=votes, final=final))


async def test_votes_go_out_come_in_and_survive_the_daemon(tmp_path):
    electorate = Electorate(tmp_path)
    other = electorate.enrol(votes=10)
    with Home.open(tmp_path / "home") as home:
        peer = Peer(electorate.enrol(through=(other,), votes=0), home)
        electorate.voters.pop()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(electorate.run, 1000)
            nursery.start_soon(peer.bird.fly)
            nursery.start_soon(peer.voting.run)
            await peer.voting.join()
            orders = await peer.voting.complete(_begin(peer))
            assert orders.votes is not None
            _vote(peer, b"mine")
            await trio.sleep(30)
            own = peer.bird.identity.public_key
            assert other.ledger.votes(own) == b"mine"
            assert other.ledger.digest() == peer.voting.ledger.digest()
            given = [log for message in peer.told for log in message.logs]
            assert {log.voter for log in given} == {other.bird.identity.public_key}
            # All its steps are not made, so nobody need wait for the others.
            _vote(peer, b"last", final=True)
            await peer.ended.wait()
            assert other.ledger.votes(own) == b"minelast"
            nursery.cancel_scope.cancel()
        again = Ledger(electorate.flock.run_id, longest_log(peer.run_.manifest.inner, 4))
        Journal(home.path / "votes").replay(again)
        assert again.digest() == peer.voting.ledger.digest()
    assert 10 + len(b"mine") in {event.votes for event in peer.events}


async def test_a_home_that_voted_twice_is_told_so(tmp_path):
    electorate = Electorate(tmp_path)
    with Home.open(tmp_path / "home") as home:
        peer = Peer(electorate.enrol(votes=0), home)
        one, other = (
            SignedVotes(
                voter=peer.bird.identity.public_key,
                start=0,
                votes=votes,
                signature=sign_page(peer.bird.identity, peer.run_.run_id, 0, votes),
            )
            for votes in (b"one", b"other")
        )

        async def cheat():
            await peer.bird.swarm.serving.wait()
            peer.voting.ledger.take(Evidence(one=one, other=other))

        async def run():
            async with trio.open_nursery() as nursery:
                for task in (peer.bird.fly, peer.voting.run, cheat):
                    nursery.start_soon(task)

        with pytest.raises(ExceptionGroup) as caught:
            await run()
        assert caught.group_contains(HomeError, match="voted twice")
