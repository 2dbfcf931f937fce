"""From a node's parts to the text that Prometheus reads."""

import io
import socket
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import cast

import pytest
import trio
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from peer.daemon.node import Node
from peer.daemon.reporter import Reporter
from peer.daemon.snapshot import Snapshots, open_metrics, serve_metrics
from peer.errors import Exit, ListenError
from peer.simulate.flock import Flock
from peer.swarm.catching_up import CatchUpStatistics
from peer.swarm.swarm import Swarm
from peer.telemetry.event_file import EventFile
from peer.telemetry.log import Log
from peer.telemetry.metrics import make_registry
from peer.telemetry.statistics import DiskStatistics, GovernorStatistics, PausingStatistics
from protocol import trainer as ipc
from protocol.manifest import Manifest
from tests.peer.daemon.controls import STATUS, status
from tests.peer.daemon.fake_trainer import PROGRESS
from tests.peer.daemon.test_reporter import DONE

HOST = "127.0.0.1"


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock()}


@dataclass
class FakeNode:
    """What a snapshot reads of a node; the reporter and the swarm are real."""

    reporter: Reporter
    swarm: Swarm
    told: object = STATUS
    joining: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(statistics=lambda: None))
    catching_up: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(statistics=CatchUpStatistics)
    )
    pausing: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(statistics=PausingStatistics))
    governor: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(statistics=GovernorStatistics))
    served: list[str] = field(default_factory=list)

    def status(self):
        return self.told

    def disk(self):
        return DiskStatistics(free=20, needed=10)

    def serves_metrics(self, url):
        self.served.append(url)


@pytest.fixture
async def node(tmp_path):
    flock = Flock(tmp_path, lambda founder: Manifest(founder=founder))
    with EventFile(tmp_path / "events.log") as file:
        yield FakeNode(Reporter(Log(file, io.StringIO(), "text")), flock.hatch().swarm)


def _scrape(node):
    text = generate_latest(make_registry(Snapshots(cast("Node", node)))).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.anyio
async def test_a_node_that_has_just_started_shows_no_training(node):
    samples = _scrape(node)
    assert samples["murmuration_state", "training"] == 1
    assert samples["murmuration_peers_in_view",] == 0
    assert not any(key[0] in ("murmuration_loss_nats", "murmuration_consensus_distance") for key in samples)


@pytest.mark.anyio
async def test_everything_that_is_counted_reaches_the_text(node):
    node.reporter.heard(PROGRESS)
    node.reporter.exchange_ended(DONE)
    node.reporter.exchange_ended(
        replace(DONE, result="refused", reason="its theta has shape (2,), ours (3,)")
    )
    node.reporter.heard(ipc.CheckpointFailed(inner_step=20, reason="disk full"))
    node.told = status(state="restarting trainer", trainer_restarts=2)
    samples = _scrape(node)
    assert samples["murmuration_inner_step",] == PROGRESS.inner_step
    assert samples["murmuration_outer_step",] == PROGRESS.outer_step
    assert samples["murmuration_tokens",] == PROGRESS.tokens
    assert samples["murmuration_loss_nats",] == PROGRESS.loss
    assert samples["murmuration_tokens_per_second",] == PROGRESS.tokens_per_second
    assert samples["murmuration_learning_rate",] == PROGRESS.learning_rate
    assert samples["murmuration_consensus_distance",] == 0.5
    assert samples["murmuration_consensus_distance_ratio",] == 0.1
    assert samples["murmuration_exchange_seconds_count",] == 1
    assert samples["murmuration_exchange_seconds_sum",] == 1.5
    assert samples["murmuration_trainer_restarts_total",] == 2
    assert samples["murmuration_refusals_total", "wrong shape"] == 1
    assert samples["murmuration_checkpoints_total", "failed"] == 1
    assert samples["murmuration_disk_free_bytes",] == 20
    assert samples["murmuration_state", "restarting trainer"] == 1
    assert samples["murmuration_state", "training"] == 0
    names = {key[0]: key[1:] for key in samples}
    assert {STATUS.peer_id, STATUS.run_id, STATUS.preset, STATUS.codec} < set(names["murmuration_peer_info"])


@pytest.mark.anyio
async def test_time_is_counted_from_the_first_moment(node):
    snapshots = Snapshots(cast("Node", node))
    trio.lowlevel.current_clock().jump(7)
    assert snapshots().uptime_seconds == 7


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        ("training", None),
        ("joining", None),
        ("restarting trainer", "the trainer died and is being restarted"),
    ],
)
async def test_a_peer_complains_while_its_trainer_is_dead(node, state, complaint):
    node.told = status(state=state)
    assert Snapshots(cast("Node", node)).complaint() == complaint


# ---- serving


@pytest.fixture
def taken():
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


async def _get(url):
    port = int(url.split(":")[2].split("/")[0])
    async with await trio.open_tcp_stream(HOST, port) as stream:
        await stream.send_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        return b"".join([data async for data in stream])


async def _served(node, port, host=HOST):
    """Serve until the node has been told where, and return what is there."""
    async with open_metrics(host, port) as listeners, trio.open_nursery() as nursery:
        nursery.start_soon(serve_metrics, cast("Node", node), host, listeners)
        while not node.served:
            await trio.lowlevel.checkpoint()
        text = await _get(node.served[0])
        nursery.cancel_scope.cancel()
    return text


@pytest.mark.anyio
async def test_the_node_is_told_where_its_metrics_are(node):
    assert b"murmuration_state" in await _served(node, 0)


@pytest.mark.anyio
async def test_metrics_for_other_machines_have_an_address_that_this_one_opens(node):
    assert b"murmuration_state" in await _served(node, 0, "0.0.0.0")
    assert node.served[0].startswith("http://127.0.0.1:")


@pytest.mark.anyio
async def test_a_port_that_was_asked_for_and_is_taken_is_an_error(taken):
    with pytest.raises(ListenError, match=f"{HOST}:{taken}") as caught:
        async with open_metrics(HOST, taken):
            pass
    assert caught.value.code == Exit.LISTEN_FAILED


@pytest.mark.anyio
async def test_the_usual_port_gives_way_where_it_is_taken(node, taken, monkeypatch):
    monkeypatch.setattr("peer.daemon.snapshot.USUAL_PORT", taken)
    assert b"murmuration_state" in await _served(node, None)
    assert f":{taken}/" not in node.served[0]
