"""A newcomer fetches the file of first weights over memory links."""

import hashlib

import pytest
import trio

from peer.simulate.voters import Electorate
from peer.swarm.first_weights import FirstWeights, fetch_first_weights
from protocol.messages import AskState, ObjectRef

WEIGHTS = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(WEIGHTS).digest()

pytestmark = pytest.mark.anyio


def _hold(voter, data, sha256=None):
    """Let a peer claim that `data` has the hash that the manifest names."""
    store, held = voter.bird.swarm.store, FirstWeights()
    (store.folder / "weights").write_bytes(data)
    held.hold(store, ObjectRef(sha256=sha256 or hashlib.sha256(data).digest(), size=len(data)), "weights")
    return held


async def _fetch(tmp_path, data, *, sha256=None):
    electorate = Electorate(tmp_path)
    bad = electorate.enrol(votes=0)
    good = electorate.enrol(through=(bad,), votes=0)
    newcomer = electorate.enrol(through=(bad, good), votes=0)
    swarm, found = newcomer.bird.swarm, []

    async def fetch():
        for voter, held in ((bad, _hold(bad, data, sha256)), (good, _hold(good, WEIGHTS))):
            await voter.bird.swarm.serving.wait()
            voter.bird.swarm.service.serve(AskState, held.serve)
        await swarm.serving.wait()
        name = await fetch_first_weights(
            newcomer.bird.transport,
            electorate.flock.run_id,
            swarm.view,
            swarm.store,
            swarm.puller,
            sha256=SHA256,
            largest=len(WEIGHTS),
        )
        found.append((swarm.store.folder / name).read_bytes())
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(electorate.run, 300)
        nursery.start_soon(fetch)
    return found


@pytest.mark.parametrize(
    ("data", "sha256"),
    [(WEIGHTS[:-1] + b"!", SHA256), (WEIGHTS[:-1] + b"!", None), (WEIGHTS + b"!", SHA256)],
    ids=["forged", "others", "too long"],
)
async def test_whoever_has_the_right_file_gives_it(tmp_path, data, sha256):
    assert await _fetch(tmp_path, data, sha256=sha256) == [WEIGHTS]


async def test_the_file_of_its_owner_is_never_deleted(tmp_path):
    electorate = Electorate(tmp_path)
    voter = electorate.enrol(votes=0)
    store = voter.bird.swarm.store
    owned = tmp_path / "owned"
    owned.write_bytes(WEIGHTS)
    (store.folder / "first-weights").symlink_to(owned)
    ref = ObjectRef(sha256=SHA256, size=len(WEIGHTS))
    held = FirstWeights()
    held.hold(store, ref, "first-weights")
    assert store.read(SHA256, 10, 20) == WEIGHTS[10:30]
    store.retire(SHA256)
    assert owned.read_bytes() == WEIGHTS
