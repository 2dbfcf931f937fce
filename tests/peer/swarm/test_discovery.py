"""Finding peers again and again: it never gives up."""

import pytest
import trio

from peer.simulate.flock import Flock
from peer.swarm.discovery import LONGEST_RETRY
from protocol.manifest import Manifest

pytestmark = pytest.mark.anyio


def _manifest(founder):
    return Manifest(founder=founder, codecs=("fp32",))


async def _run(flock, seconds, *also):
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for bird in flock.birds:
                nursery.start_soon(bird.fly)
            for one in also:
                nursery.start_soon(one)


async def test_a_bootstrap_that_comes_back_after_an_hour_is_found(tmp_path):
    flock = Flock(tmp_path, _manifest)
    founder = flock.hatch()
    lonely = flock.hatch(through=(founder,))
    flock.network.unplug(founder.identity.peer_id)

    async def come_back():
        await trio.sleep(3600)
        assert not lonely.swarm.view.live()
        assert lonely.swarm.statistics().discovery.bootstrap_attempts < 200, "it backs off"
        flock.network.plug_in(founder.identity.peer_id)

    await _run(flock, 3600 + 3 * LONGEST_RETRY, come_back)
    assert lonely.swarm.view.live()


async def test_two_parts_that_do_not_know_each_other_meet_through_the_table(tmp_path):
    """Both parts are in the run's DHT, but no bootstrap or record leads from one to the other."""
    flock = Flock(tmp_path, _manifest)
    one, other = flock.hatch(), flock.hatch()
    flock.hatch(through=(one,))
    flock.hatch(through=(other,))
    await _run(flock, 300)
    assert all(len(bird.swarm.view.live()) == 3 for bird in flock.birds)


async def test_our_record_is_published_and_can_be_looked_up(tmp_path):
    from peer.swarm.stored import open_stored

    flock = Flock(tmp_path, _manifest)
    one = flock.hatch()
    other = flock.hatch(through=(one,))
    await _run(flock, 200)
    value = await other.transport.look_up(one.identity.peer_id)
    assert open_stored(value, flock.run_id).peer_id == one.identity.peer_id
    assert one.swarm.statistics().discovery.published >= 1
