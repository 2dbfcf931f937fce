"""Records, signs of life, and goodbyes, over memory links."""

import pytest
import trio

from peer.simulate.flock import Flock
from peer.swarm.calls import ask
from peer.swarm.membership import HEARTBEAT
from peer.swarm.transport import TransportError
from protocol.errors import ProtocolError
from protocol.messages import AskPeers, PeersAre
from protocol.records import PeerRecord, open_record, sign_record
from tests.peer.swarm.flying import fly
from tests.peer.swarm.newcomers import small

pytestmark = pytest.mark.anyio


async def test_our_record_says_what_is_true_and_its_number_grows(tmp_path):
    bird = Flock(tmp_path, small).hatch()
    bird.swarm.membership.shard = 7
    first = open_record(bird.swarm.membership.record(), bird.swarm.view._run_id)
    await bird.swarm.leave()
    second = open_record(bird.swarm.membership.record(), bird.swarm.view._run_id)
    assert (first.peer_id, first.shard, first.goodbye) == (bird.identity.peer_id, 7, False)
    assert all("/p2p/" not in address for address in first.addresses)
    assert second.sequence > first.sequence
    assert second.goodbye


async def test_everybody_meets_everybody_through_one_bootstrap(tmp_path):
    flock = Flock(tmp_path, small)
    founder = flock.hatch()
    for _ in range(7):
        flock.hatch(through=(founder,))
    await fly(flock, 3 * HEARTBEAT)
    assert all(len(bird.swarm.view.live()) == 7 for bird in flock.birds)


async def test_a_peer_that_introduces_itself_as_another_is_turned_away(tmp_path):
    flock = Flock(tmp_path, small)
    founder, liar, victim = flock.hatch(), flock.hatch(), flock.hatch()

    async def lie():
        await founder.swarm.serving.wait()
        stolen = victim.swarm.membership.record()
        contact = liar.swarm.view.contact(founder.identity.peer_id)
        assert contact is None
        from peer.swarm.transport import Contact

        target = Contact(founder.identity.peer_id, ())
        with pytest.raises((TransportError, ProtocolError)):
            await ask(liar.transport, target, flock.run_id, AskPeers(mine=stolen), PeersAre)

    await fly(flock, 5, lie)
    assert founder.transport.statistics().handler_failures == 1


async def test_a_vanished_peer_is_dropped_after_three_missed_rounds_and_noticed_when_it_returns(tmp_path):
    flock = Flock(tmp_path, small)
    founder = flock.hatch()
    other = flock.hatch(through=(founder,))

    async def vanish():
        await trio.sleep(15)
        assert founder.swarm.view.live()
        flock.network.unplug(other.identity.peer_id)
        await trio.sleep(8 * HEARTBEAT)
        assert not founder.swarm.view.live()
        flock.network.plug_in(other.identity.peer_id)
        await trio.sleep(8 * HEARTBEAT)
        assert founder.swarm.view.live()

    await fly(flock, 30 * HEARTBEAT, vanish)
    assert (other.identity.peer_id, "silent") in founder.record.changes


async def test_records_of_another_run_or_signer_in_an_answer_spoil_only_themselves(tmp_path):
    flock = Flock(tmp_path, small)
    founder, guest, third = flock.hatch(), flock.hatch(), flock.hatch()

    async def serve(caller, call):
        foreign = sign_record(
            PeerRecord(run_id=b"x" * 32, peer_id=third.identity.peer_id, sequence=1, addresses=(), shard=0),
            third.identity,
        )
        good = third.swarm.membership.record()
        return PeersAre(records=(founder.swarm.membership.record(), foreign, good))

    async def greet():
        await founder.swarm.serving.wait()
        founder.swarm.service.serve(AskPeers, serve)
        from peer.swarm.transport import Contact

        assert await guest.swarm.membership.greet(Contact(founder.identity.peer_id, ()))

    await fly(flock, 1, greet)
    assert guest.swarm.view.contact(third.identity.peer_id) is not None
