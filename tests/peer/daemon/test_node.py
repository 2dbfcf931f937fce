"""A node over memory links: what its trainer fetches by itself, and how fast it may."""

import io
import math
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from peer.daemon.home import Home
from peer.daemon.node import HOUSEKEEPING, Node
from peer.daemon.settings import Settings
from peer.simulate.network import Network
from peer.swarm.learner import LearnerGoneError
from peer.swarm.line import Line
from peer.swarm.swarm import Run
from peer.telemetry.event_file import EventFile
from peer.telemetry.log import Log
from protocol.fetching import Download, Fetched
from protocol.identity import Identity
from protocol.manifest import Manifest, sign

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Trainer:
    """Hears what it is told once it has begun."""

    def __init__(self):
        self.begun, self.told = True, []

    async def tell(self, message):
        if not self.begun:
            raise LearnerGoneError
        await trio.lowlevel.checkpoint()
        self.told.append((message, trio.current_time()))


@pytest.fixture
async def node(tmp_path):
    identity = Identity(bytes(32))
    manifest = Manifest(founder=identity.public_key)
    run = Run(sign(manifest, identity), manifest, ())
    (tmp_path / "spool").mkdir()
    runtime = SimpleNamespace(spool=tmp_path / "spool")
    transport = Network().add(identity.peer_id)
    with Home.open(tmp_path / "home") as home, EventFile(home.events) as file:
        log = Log(file, io.StringIO(), "text")
        settings = Settings(home=home.path, download_limit=1000.0)
        node = Node(settings, home, runtime, identity, transport, run, log, Line())
        node.link = Trainer()
        yield node


async def test_what_the_trainer_fetches_delays_what_the_node_does(node):
    node._heard(Fetched(size=2000))
    began = trio.current_time()
    await node._line.download.take(1)
    assert trio.current_time() - began == pytest.approx(2.0)


async def test_another_rate_is_told_once_and_at_once(node):
    line, trainer = node._line, node.link
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node._keep_rate_told)
        await trio.sleep(HOUSEKEEPING / 2)
        trainer.told.clear()
        changed = trio.current_time()
        line.allow(math.inf, 500.0)
        await trio.sleep(3 * HOUSEKEEPING)
        assert trainer.told == [(Download(rate=250.0), changed)]

        trainer.begun = False
        line.allow(math.inf, 400.0)
        await trio.sleep(HOUSEKEEPING)
        trainer.begun = True
        await trio.sleep(2 * HOUSEKEEPING)
        assert [message for message, _ in trainer.told[1:]] == [Download(rate=200.0)]
        nursery.cancel_scope.cancel()
