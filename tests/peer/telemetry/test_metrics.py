"""The exposition text is a contract with dashboards: it is compared whole."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from peer.swarm.bulk import BulkStatistics
from peer.swarm.catching_up import CatchUpStatistics
from peer.swarm.discovery import DiscoveryStatistics
from peer.swarm.donor import StateStatistics
from peer.swarm.exchange import ExchangeStatistics
from peer.swarm.horizon import HorizonStatistics
from peer.swarm.matchmaker import MatchStatistics
from peer.swarm.newcomer import JoiningStatistics
from peer.swarm.pull import PullStatistics
from peer.swarm.reachability import ReachStatistics
from peer.swarm.service import ServiceStatistics
from peer.swarm.standing import Verdict
from peer.swarm.swarm import SwarmStatistics
from peer.swarm.transport import PunchStatistics, RelayStatistics, TransportStatistics
from peer.swarm.view import ViewStatistics
from peer.telemetry.histogram import Histogram, HistogramStatistics
from peer.telemetry.metrics import PeerCollector, make_registry
from peer.telemetry.statistics import (
    CheckpointStatistics,
    DiskStatistics,
    DistanceStatistics,
    GovernorStatistics,
    PausingStatistics,
    PeerLabels,
    PeerStatistics,
    TrainingStatistics,
)

GOLDEN = Path(__file__).parent / "golden_metrics.txt"

SWARM = SwarmStatistics(
    view=ViewStatistics(live=3, unproved=1, departed=2, alone_seconds=0.0),
    match=MatchStatistics(
        offers=30,
        busy_answers=4,
        skips={"everybody is busy": 2, 'a "quoted" \\ reason\n': 1},
        patience=2.0,
        partner=None,
    ),
    exchange=ExchangeStatistics(done=20, failed=3, refused=1, bytes_in=12_345_678, deadline=5.5),
    discovery=DiscoveryStatistics(bootstrap_attempts=5, bootstrap_answers=2, draws=7, published=1),
    service=ServiceStatistics(answered=100, other_run=2, malformed=1),
    state=StateStatistics(served=1, turned_away=0),
    transport=TransportStatistics(
        connections=4,
        streams_opened=50,
        streams_accepted=60,
        handler_failures=1,
        bytes_received=20_000_000,
        bytes_sent=21_000_000,
        dht_peers=6,
        dht_evictions=1,
        relayed_connections=2,
        dial_backs_served=3,
        relay=RelayStatistics(reservations=4, circuits=5, circuits_opened=9, refused=6, bytes=7_000),
        punching=PunchStatistics(succeeded=1, failed=2),
    ),
    horizon=HorizonStatistics(size=40, splits=2),
    reach=ReachStatistics(verdict=Verdict(reachable=True), circuits=("a",), asked=5, answered=4),
    pulls=PullStatistics(bytes_in=12_000_000, bad_chunks=2, resumed=1),
    bulk=BulkStatistics(
        lanes=6,
        opened=4,
        answered=2,
        failed=1,
        turned_away=3,
        bytes_in=10_000_000,
        bytes_out=9_000_000,
    ),
    bulk_bytes_out=11_000_000,
)


def _seconds() -> HistogramStatistics:
    histogram = Histogram((0.5, 1, 20))
    for value in (0.25, 0.5, 2.0, 100.0):
        histogram.observe(value)
    return histogram.statistics()


FRESH = PeerStatistics(
    labels=PeerLabels("12D3KooWx", "00ff", "noloco", "int8", "0.1.0"),
    state="starting",
    uptime_seconds=0.5,
    trainer_restarts=0,
    exchange_seconds=Histogram().statistics(),
)

FULL = replace(
    FRESH,
    state="training",
    uptime_seconds=61.5,
    trainer_restarts=2,
    exchange_seconds=_seconds(),
    training=TrainingStatistics(
        inner_step=480,
        outer_step=24,
        tokens=491_520,
        loss=2.25,
        tokens_per_second=51_200.0,
        learning_rate=0.004,
        micro_batch=8,
    ),
    distance=DistanceStatistics(absolute=0.001, relative=0.0125),
    pausing=PausingStatistics(kinds=("gpu",), count=3, seconds=90.5),
    swarm=SWARM,
    joining=JoiningStatistics(
        size=4_000_000, received=1_000_000, rate=2e5, seconds_left=15.0, donors=3, lies=1
    ),
    catching_up=CatchUpStatistics(behind=412, caught_up=2, failed=1),
    disk=DiskStatistics(free=50_000_000_000, needed=27_000_000),
    checkpoints=CheckpointStatistics(written=8, failed=1),
    refusals={"not finite": 1},
    governor=GovernorStatistics(
        unwatched=1,
        month_bytes=1234,
        month_limit=5e10,
        home_bytes=789,
        failed_looks=5,
        sensor_threads=2,
        month_unsaved=3,
    ),
)


def _text(statistics: PeerStatistics) -> str:
    registry = CollectorRegistry()
    registry.register(PeerCollector(lambda: statistics))
    return generate_latest(registry).decode()


def test_the_exposition_is_the_golden_one():
    assert _text(FULL) == GOLDEN.read_text()


def test_what_is_not_known_yet_is_left_out():
    names = {family.name for family in text_string_to_metric_families(_text(FRESH))}
    assert names == {
        "murmuration_peer_info",
        "murmuration_state",
        "murmuration_uptime_seconds",
        "murmuration_trainer_restarts",
        "murmuration_checkpoints",
        "murmuration_paused",
        "murmuration_pauses",
        "murmuration_paused_seconds",
        "murmuration_limits_unwatched",
        "murmuration_month_bytes",
        "murmuration_outer_steps_behind",
        "murmuration_catch_ups",
        "murmuration_sensor_failures",
        "murmuration_sensor_threads",
        "murmuration_month_unsaved",
    }


def test_every_metric_has_the_prefix_and_says_what_it_is():
    for family in text_string_to_metric_families(_text(FULL)):
        assert family.name.startswith("murmuration_")
        assert family.documentation.endswith(".")
        if family.type == "counter":
            assert family.documentation.startswith(("Increments when", "Bytes", "Seconds")), family.name


def test_exactly_one_state_is_on():
    (states,) = (
        family for family in text_string_to_metric_families(_text(FULL)) if family.name == "murmuration_state"
    )
    assert [sample.labels for sample in states.samples if sample.value] == [{"state": "training"}]
    assert len(states.samples) == 9


def test_each_scrape_takes_one_fresh_snapshot():
    steps = iter(range(100))

    def snapshot():
        return replace(FRESH, trainer_restarts=next(steps))

    registry = make_registry(snapshot)
    text = [generate_latest(registry).decode() for _ in range(2)]
    values = [re.search(r"^murmuration_trainer_restarts_total (\S+)$", each, re.MULTILINE) for each in text]
    assert [float(value[1]) for value in values if value] == [0.0, 1.0]


@pytest.mark.parametrize("name", ["python_info", "murmuration_uptime_seconds"])
def test_the_process_is_measured_beside_the_peer(name):
    assert f"\n{name}" in generate_latest(make_registry(lambda: FRESH)).decode()
