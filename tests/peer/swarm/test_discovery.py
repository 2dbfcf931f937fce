"""Finding peers again and again: it never gives up."""

import pytest
import trio

from peer.simulate.flock import Flock
from peer.swarm.discovery import ATTEMPT_EVERY, LONGEST_RETRY, PUBLISH_EVERY
from peer.swarm.transport import Contact, TransportError
from tests.peer.swarm.flying import fly
from tests.peer.swarm.newcomers import small

pytestmark = pytest.mark.anyio


async def _nobody(count):
    return []


@pytest.mark.parametrize(("known", "longest"), [(1, ATTEMPT_EVERY), (20, LONGEST_RETRY)])
async def test_a_peer_that_comes_back_after_an_hour_is_found_soon_where_few_are_known(
    tmp_path, known, longest
):
    """Only the lonely one dials: the one who comes back does not know where it is now."""
    flock = Flock(tmp_path, small)
    others = [flock.hatch() for _ in range(known)]
    lonely = flock.hatch(through=tuple(others))
    for bird in others:
        flock.network.unplug(bird.identity.peer_id)

    async def come_back():
        await trio.sleep(3600)
        assert not lonely.swarm.view.live()
        attempts = lonely.swarm.statistics().discovery.bootstrap_attempts
        assert attempts < 1.2 * known * 3600 / longest, "it backs off"
        flock.network.plug_in(others[0].identity.peer_id)
        with trio.fail_after(2 * longest):
            await lonely.swarm.view.wait_change()

    async with trio.open_nursery() as nursery:
        for bird in (others[0], lonely):
            nursery.start_soon(bird.fly)
        await come_back()
        nursery.cancel_scope.cancel()
    assert lonely.swarm.view.live()


async def test_two_parts_that_do_not_know_each_other_meet_through_the_table(tmp_path):
    """Both parts are in the run's DHT, but no bootstrap or record leads from one to the other."""
    flock = Flock(tmp_path, small)
    one, other = flock.hatch(), flock.hatch()
    flock.hatch(through=(one,))
    flock.hatch(through=(other,))
    await fly(flock, 300)
    assert all(len(bird.swarm.view.live()) == 3 for bird in flock.birds)


async def test_our_record_is_published_and_can_be_looked_up(tmp_path):
    from peer.swarm.stored import open_stored

    flock = Flock(tmp_path, small)
    one = flock.hatch()
    other = flock.hatch(through=(one,))
    await fly(flock, 200)
    value = await other.transport.look_up(one.identity.peer_id)
    assert open_stored(value, flock.run_id).peer_id == one.identity.peer_id
    assert one.swarm.statistics().discovery.published >= 1


async def test_a_partition_heals_though_each_side_is_content_with_itself(tmp_path):
    """The DHT has parted with the swarm: only the bootstrap's address leads across."""
    flock = Flock(tmp_path, small)
    founder = flock.hatch()
    others = [flock.hatch(through=(founder,)) for _ in range(2)]
    partner = flock.hatch(through=(founder,))

    for bird in flock.birds:
        bird.transport.random_peers = _nobody

    async def part():
        await trio.sleep(60)
        flock.network.unplug(founder.identity.peer_id)
        flock.network.unplug(partner.identity.peer_id)
        await trio.sleep(180)
        assert all(len(bird.swarm.view.live()) == 1 for bird in others)
        flock.network.plug_in(founder.identity.peer_id)
        flock.network.plug_in(partner.identity.peer_id)

    await fly(flock, 60 + 180 + 300, part)
    assert all(len(bird.swarm.view.live()) == 3 for bird in flock.birds)


async def test_a_table_that_fails_to_be_joined_or_to_take_our_record_is_tried_again_soon(tmp_path):
    flock = Flock(tmp_path, small)
    one = flock.hatch()
    flock.hatch(through=(one,))
    publish, tries = one.transport.publish, []

    async def no_walk(*args):
        raise TransportError("the first walk failed")

    async def fail_once(value):
        tries.append(trio.current_time())
        if len(tries) == 1:
            raise TransportError("no peer took our record")
        await publish(value)

    one.transport.join_table, one.transport.publish = no_walk, fail_once
    await fly(flock, PUBLISH_EVERY / 5)
    assert len(tries) == 2
    assert one.swarm.statistics().discovery.published == 1


async def test_a_peer_drawn_without_addresses_is_reached_by_its_published_record(tmp_path):
    flock = Flock(tmp_path, small)
    one, other = flock.hatch(), flock.hatch()
    # Somebody else each, as who is alone publishes nothing.
    flock.hatch(through=(one,))
    flock.hatch(through=(other,))
    draw, open_stream = one.transport.random_peers, one.transport.open_stream

    async def draw_bare(count):
        return [Contact(contact.peer_id, ()) for contact in await draw(count)]

    async def open_addressed(contact, protocol):
        if not contact.addresses:
            raise TransportError("no address")
        return await open_stream(contact, protocol)

    one.transport.random_peers, one.transport.open_stream = draw_bare, open_addressed
    for bird in flock.birds[1:]:
        bird.transport.random_peers = _nobody
    await fly(flock, 300)
    assert other.identity.peer_id in {contact.peer_id for contact in one.swarm.view.live()}
