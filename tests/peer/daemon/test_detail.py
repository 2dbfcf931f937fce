"""From a node's parts to what `peer top` shows."""

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
import trio

from peer.daemon.detail import Details
from peer.daemon.node import Node
from peer.daemon.reporter import Reporter
from peer.simulate.flock import Flock
from peer.telemetry.event_file import EventFile
from peer.telemetry.history import MOST
from peer.telemetry.log import Log
from protocol.codec import encode
from protocol.control import (
    LONGEST_REASON,
    MAX_CONTROL,
    MOST_EXCHANGES,
    MOST_LINKS,
    MOST_TRANSFERS,
    Exchanged,
)
from protocol.limits import MAX_ADDRESS, MAX_ADDRESSES
from protocol.manifest import Manifest
from tests.peer.daemon.controls import DETAIL, STATUS, status
from tests.peer.daemon.fake_trainer import PROGRESS
from tests.peer.daemon.test_reporter import DONE, READY


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock()}


@pytest.fixture
async def node(tmp_path):
    flock = Flock(tmp_path, lambda founder: Manifest(founder=founder))
    with EventFile(tmp_path / "events.log") as file:
        yield SimpleNamespace(
            reporter=Reporter(Log(file, io.StringIO(), "text")),
            swarm=flock.hatch().swarm,
            run_=SimpleNamespace(manifest=Manifest(founder=bytes(32))),
            status=lambda: STATUS,
        )


@pytest.mark.anyio
async def test_before_training_there_is_little_to_tell(node, tmp_path):
    told = Details(cast("Node", node), tmp_path)()
    assert told.status == STATUS
    assert (told.losses, told.recent, told.links, told.transfers) == ((), (), (), ())
    assert (told.next_boundary, told.seconds_per_step, told.learning_rate) == (None, None, None)
    assert told.disk_free > 0


@pytest.mark.anyio
async def test_what_the_trainer_and_the_swarm_tell_is_shown(node, tmp_path):
    node.status = lambda: status(tokens_per_second=1000.0)
    node.reporter.heard(replace_message(READY, inner_step=0, tokens=0))
    node.reporter.heard(PROGRESS)
    node.reporter.exchange_ended(DONE)
    node.reporter.exchange_ended(replace(DONE, result="failed", reason="x" * 1000, mixed=None))
    told = Details(cast("Node", node), tmp_path)()
    assert told.losses == ((20, 2.5),)
    assert told.seconds_per_step == pytest.approx(640 / 20 / 1000)
    assert told.learning_rate == 0.004
    assert 0 < told.next_boundary <= 1
    done, failed = told.recent
    assert (done.result, done.relative_distance, done.bytes_out) == ("done", 0.1, 200)
    assert (failed.result, failed.reason, failed.relative_distance) == ("failed", "x" * LONGEST_REASON, None)


def replace_message(message, **changes):
    return msgspec.structs.replace(message, **changes)


@pytest.mark.anyio
async def test_a_trainer_that_goes_back_takes_the_curve_with_it(node, tmp_path):
    for step in (20, 40, 60):
        node.reporter.heard(replace_message(PROGRESS, inner_step=step))
    node.reporter.heard(replace_message(READY, inner_step=40))
    assert [step for step, _ in Details(cast("Node", node), tmp_path)().losses] == [20, 40]


def test_the_longest_answer_fits_its_frame():
    peer = "1" * 64
    exchanged = Exchanged(
        time=1e300,
        partner=peer,
        result="refused",
        reason="\U0001f426" * LONGEST_REASON,
        seconds=1e300,
        bytes_in=1 << 62,
        bytes_out=1 << 62,
        relative_distance=1e300,
        outer_step=1 << 62,
        fragment=1 << 30,
    )
    link = replace_message(DETAIL.links[0], peer=peer, way="relayed", avoided=1e300)
    transfer = replace_message(DETAIL.transfers[0], peer=peer, size=1 << 62, moved=1 << 62)
    longest = replace_message(
        DETAIL,
        status=status(addresses=("a" * MAX_ADDRESS,) * MAX_ADDRESSES),
        losses=((1 << 62, 1.5),) * MOST,
        recent=(exchanged,) * MOST_EXCHANGES,
        links=(link,) * MOST_LINKS,
        transfers=(transfer,) * MOST_TRANSFERS,
    )
    assert len(encode(longest)) < MAX_CONTROL * 0.75
