"""Two halves of one run notice each other when they meet, and are one again."""

import pytest
import trio

from peer.simulate.flock import Flock
from peer.swarm.horizon import HEARD_FOR, TOLD_AGAIN, Horizon
from protocol.codec import decode, encode
from protocol.manifest import Manifest
from protocol.sketch import HASHES, KEPT, Sketch, hash_of, smallest

pytestmark = pytest.mark.anyio


def _sketch(*names, size=None):
    return Sketch(known=len(names), size=size or len(names), hashes=smallest(hash_of(name) for name in names))


async def test_a_peer_whose_side_we_do_not_know_shows_a_split():
    horizon = Horizon("own", lambda: ["a", "b"])
    split = horizon.hear("x", _sketch("x", "y", "z"))
    assert (split.peer, split.ours, split.theirs) == ("x", 3, 3)
    assert horizon.statistics().splits == 1
    assert horizon.statistics().size == 6


@pytest.mark.parametrize(
    ("live", "theirs"),
    [
        (["a"], _sketch("x", "a")),  # it knows one of ours
        (["a"], _sketch("x", "own", "y", "a")),
        ([], _sketch("x", "y")),  # we are new
        (["x"], _sketch("x", "y")),  # we know it alone
        (["a"], _sketch("x")),  # it is new
        (["a"], _sketch("x", "own")),
        (["a"], None),
    ],
)
async def test_newcomers_and_neighbours_show_none(live, theirs):
    assert Horizon("own", lambda: live).hear("x", theirs) is None


async def test_what_a_neighbour_of_ours_knows_is_of_our_side():
    horizon = Horizon("own", lambda: ["a"])
    assert horizon.hear("a", _sketch("a", "own", "y")) is None
    assert horizon.hear("x", _sketch("x", "y")) is None
    await trio.sleep(HEARD_FOR + 1)
    assert horizon.hear("x", _sketch("x", "y")) is not None


async def test_of_a_large_swarm_two_peers_may_know_different_parts():
    horizon = Horizon("own", lambda: ["a", "b"])
    assert horizon.hear("x", _sketch("x", "y", size=10_000)) is None


async def test_a_split_is_told_once_a_while():
    horizon = Horizon("own", lambda: ["a"])
    assert horizon.hear("x", _sketch("x", "y")) is not None
    assert horizon.hear("z", _sketch("z", "w")) is None
    await trio.sleep(TOLD_AGAIN + 1)
    assert horizon.hear("x", _sketch("x", "v")) is not None


async def test_what_is_heard_is_bounded():
    horizon = Horizon("own", list)
    for index in range(1000):
        horizon.hear(str(index), Sketch(known=1, size=1, hashes=(HASHES - 1,)))
    assert len(horizon._heard) <= 64


TINY = Sketch(known=KEPT, size=KEPT, hashes=tuple(range(KEPT)))
"""What a liar tells who wants the swarm to seem endless."""


async def test_what_we_tell_can_be_decoded_whatever_we_have_heard():
    horizon = Horizon("own", lambda: ["a"])
    for name in ("a", "x", "y", "z"):
        horizon.hear(name, TINY)
    assert decode(encode(horizon.sketch()), Sketch, 4096) == horizon.sketch()


async def test_one_liar_among_some_neighbours_does_not_say_how_large_the_swarm_is():
    names = [str(index) for index in range(8)]
    horizon = Horizon("own", lambda: names)
    for name in names[1:]:
        horizon.hear(name, _sketch("own", *names))
    horizon.hear(names[0], TINY)
    assert horizon.statistics().size == 9
    assert horizon.sketch().size == 9
    assert horizon._compare("x", _sketch("x", "y", "z")), "nor does it hide another half"


async def _nobody(count):
    return []


async def test_a_partition_is_noticed_when_it_ends_and_the_halves_are_one_soon(tmp_path):
    """Nothing leads across but the bootstrap's address: the table has parted as well."""
    flock = Flock(tmp_path, lambda founder: Manifest(founder=founder, codecs=("fp32",)))
    founder = flock.hatch()
    for _ in range(5):
        flock.hatch(through=(founder,))
    names = [bird.identity.peer_id for bird in flock.birds]
    for bird in flock.birds:
        bird.transport.random_peers = _nobody
    healed = []

    async def part_and_heal():
        await trio.sleep(20)
        flock.network.part(names[:3], names[3:])
        await trio.sleep(120)
        assert all(len(bird.swarm.view.live()) == 2 for bird in flock.birds)
        flock.network.part()
        began = trio.current_time()
        for bird in flock.birds:
            while len(bird.swarm.view.live()) < 5:
                await bird.swarm.view.wait_change()
        healed.append(trio.current_time() - began)
        scope.cancel()

    with trio.move_on_after(300) as scope:
        async with trio.open_nursery() as nursery:
            for bird in flock.birds:
                nursery.start_soon(bird.fly)
            nursery.start_soon(part_and_heal)
    assert healed[0] < 45
    told = [split for bird in flock.birds for split in bird.record.splits]
    assert told
    assert {(split.ours, split.theirs) for split in told} == {(3, 3)}
