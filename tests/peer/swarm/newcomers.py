"""Donors whose states are as large as a test wants, and newcomers that fetch them."""

import random

import trio

from peer.swarm.assembly import Assembly
from peer.swarm.newcomer import Newcomer
from protocol.manifest import Manifest
from protocol.state_index import chunk_range
from protocol.trainer import Captured, State
from tests.states import hash_chunks


def small(founder):
    return Manifest(founder=founder, codecs=("fp32",))


class Giving:
    """A learner that captures always the same bytes, and else does what the one before it did."""

    def __init__(self, learner, content, outer_step=1):
        self._learner = learner
        self._state = State(file="state", inner_step=10 * outer_step, outer_step=outer_step, tokens=1)
        self.content = content
        self._hashes = hash_chunks(content)

    async def capture(self):
        (self._learner.spool / "state").write_bytes(self.content)
        return Captured(state=self._state, size=len(self.content), hashes=self._hashes)


def give(bird, content, **told):
    """Let a bird that flies give this state from now on."""
    bird.swarm._donor._learner = Giving(bird.learner, content, **told)
    return content


def content(size, seed):
    """Return bytes that differ from chunk to chunk: the period is no multiple of a chunk's length."""
    period = random.Random(seed).randbytes(min(size, 1_000_003))
    return (period * (size // len(period) + 1))[:size]


def assembly(flock, bird, size=8):
    return Assembly(bird.learner.spool / "joining", flock.run_id, size)


def newcomer(flock, bird, size=8, into=None):
    swarm = bird.swarm
    into = into or assembly(flock, bird, size)
    return Newcomer(bird.transport, swarm.puller, flock.run_id, swarm.view, into)


async def flying(flock, use, seconds=3.5):
    """Let the flock fly, and do something once all know each other."""
    async with trio.open_nursery() as nursery:
        for bird in flock.birds:
            nursery.start_soon(bird.fly)
        await trio.sleep(seconds)
        await use()
        nursery.cancel_scope.cancel()


def givers(assembled, states):
    """Return, chunk by chunk, which of the states it is of; each chunk must be of one."""
    data, size = assembled.file.read_bytes(), assembled.size
    assert len(data) == size
    found = []
    for chunk in range(-(-size // chunk_range(size, 0)[1])):
        start, length = chunk_range(size, chunk)
        piece = data[start : start + length]
        (giver,) = [name for name, state in states.items() if state[start : start + length] == piece]
        found.append(giver)
    return found
