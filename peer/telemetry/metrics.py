"""The peer's Prometheus metrics, read from its statistics at scrape time."""

from collections.abc import Callable, Iterable, Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from peer.swarm.bulk import BulkStatistics
from peer.swarm.catching_up import CatchUpStatistics
from peer.swarm.donor import StateStatistics
from peer.swarm.exchange import ExchangeStatistics
from peer.swarm.matchmaker import MatchStatistics
from peer.swarm.newcomer import JoiningStatistics
from peer.swarm.pull import PullStatistics
from peer.swarm.reachability import ReachStatistics
from peer.swarm.refusals import Refusal
from peer.swarm.swarm import SwarmStatistics
from peer.swarm.transport import TransportStatistics
from peer.telemetry.statistics import (
    DiskStatistics,
    DistanceStatistics,
    GovernorStatistics,
    PausingStatistics,
    PeerStatistics,
    State,
    TrainingStatistics,
)
from protocol.control import PauseKind

PREFIX = "murmuration_"

Snapshot = Callable[[], PeerStatistics]


class PeerCollector:
    """Turns one snapshot a scrape into metrics. What is not known yet is left out, never shown as 0."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        """Yield every metric of one moment."""
        peer = self._snapshot()
        yield from _daemon(peer)
        if peer.disk is not None:
            yield from _disk(peer.disk)
        if peer.training is not None:
            yield from _training(peer.training)
        if peer.swarm is not None:
            yield from _swarm(peer.swarm)
            yield _histogram(peer)
            yield _refusals(peer)
        if peer.distance is not None:
            yield from _distance(peer.distance)
        if peer.joining is not None:
            yield from _joining(peer.joining)
        yield from _catching_up(peer.catching_up)


def make_registry(snapshot: Snapshot) -> CollectorRegistry:
    """Return a registry of the peer's own metrics, and the process's where the platform tells them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(PeerCollector(snapshot))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


def _daemon(peer: PeerStatistics) -> Iterator[Metric]:
    labels = peer.labels
    yield InfoMetricFamily(
        f"{PREFIX}peer",
        "What stays the same for the daemon's life.",
        value={
            "peer_id": labels.peer_id,
            "run_id": labels.run_id,
            "preset": labels.preset,
            "codec": labels.codec,
            "version": labels.version,
        },
    )
    states = GaugeMetricFamily(
        f"{PREFIX}state", "1 for the state in which the daemon is, 0 for the others.", labels=["state"]
    )
    for state in get_args(State):
        states.add_metric([state], state == peer.state)
    yield states
    yield _gauge("uptime_seconds", "Seconds since the daemon started.", peer.uptime_seconds)
    yield _counter(
        "trainer_restarts",
        "Increments when a trainer process that ended unasked is started again.",
        peer.trainer_restarts,
    )
    yield _labelled(
        "checkpoints",
        "Increments when a checkpoint is complete on the disk (written), or the disk refuses it (failed).",
        "result",
        {"written": peer.checkpoints.written, "failed": peer.checkpoints.failed},
    )
    yield from _pausing(peer.pausing)
    yield from _governor(peer.governor)


def _disk(disk: DiskStatistics) -> Iterator[Metric]:
    yield _gauge("disk_free_bytes", "Bytes free on the disk of the peer's home.", disk.free)
    yield _gauge(
        "disk_needed_bytes", "Bytes that must stay free there for checkpoints to be written.", disk.needed
    )


def _pausing(pausing: PausingStatistics) -> Iterator[Metric]:
    paused = GaugeMetricFamily(
        f"{PREFIX}paused", "1 for each reason for which the peer pauses, 0 for the rest.", labels=["reason"]
    )
    for kind in get_args(PauseKind):
        paused.add_metric([kind], kind in pausing.kinds)
    yield paused
    yield _counter("pauses", "Increments when a pause begins, by hand or the governor's.", pausing.count)
    yield _counter("paused_seconds", "Seconds paused, the pause that lasts included.", pausing.seconds)


def _governor(governor: GovernorStatistics) -> Iterator[Metric]:
    yield _gauge(
        "limits_unwatched", "Limits of limits.toml that nothing on this machine watches.", governor.unwatched
    )
    yield _gauge(
        "month_bytes",
        "Bytes moved in this calendar month, both ways, over restarts; 0 again when the next begins.",
        governor.month_bytes,
    )
    if governor.month_limit is not None:
        yield _gauge(
            "month_limit_bytes", "Bytes after which the peer pauses until next month.", governor.month_limit
        )
    if governor.home_bytes is not None:
        yield _gauge("home_bytes", "Bytes of the peer's home, where it has a limit.", governor.home_bytes)
    yield _counter(
        "sensor_failures",
        "Increments when a sensor fails or is silent for too long.",
        governor.failed_looks,
    )
    yield _gauge(
        "sensor_threads",
        "Threads that read sensors; one that hangs keeps its own.",
        governor.sensor_threads,
    )
    yield _counter(
        "month_unsaved", "Increments when the disk does not take the month's traffic.", governor.month_unsaved
    )


def _training(training: TrainingStatistics) -> Iterator[Metric]:
    # Gauges, as a trainer that restarts goes back to its checkpoint: rate() would count the fall as a rise.
    yield _gauge(
        "inner_step",
        "Inner steps in this peer's weights; falls back to the checkpoint when the trainer restarts.",
        training.inner_step,
    )
    yield _gauge(
        "outer_step",
        "Outer steps in this peer's weights; falls back with the inner step.",
        training.outer_step,
    )
    yield _gauge(
        "tokens",
        "Tokens in this peer's weights, its donor's included; falls back with the inner step.",
        training.tokens,
    )
    yield _gauge(
        "loss_nats",
        "Training loss in nats a token: mean over the inner steps of the trainer's last report.",
        training.loss,
    )
    yield _gauge(
        "tokens_per_second",
        "Tokens trained on per second, over the trainer's last report.",
        training.tokens_per_second,
    )
    yield _gauge("learning_rate", "Learning rate of the last inner step.", training.learning_rate)
    yield _gauge("ranks", "Devices of this peer that share every inner step.", training.ranks)
    if training.micro_batch is not None:
        yield _gauge(
            "micro_batch",
            "Sequences that pass through a device at once; falls when its memory runs out.",
            training.micro_batch,
        )


def _distance(distance: DistanceStatistics) -> Iterator[Metric]:
    yield _gauge(
        "consensus_distance",
        "Root mean square of the partner's weights minus ours, at the last mix.",
        distance.absolute,
    )
    yield _gauge(
        "consensus_distance_ratio",
        "The consensus distance over the root mean square of our weights, at the last mix.",
        distance.relative,
    )


def _joining(joining: JoiningStatistics) -> Iterator[Metric]:
    yield _gauge("joining_size_bytes", "Bytes of the state that this newcomer is fetching.", joining.size)
    yield _gauge("joining_received_bytes", "Bytes of that state that are here and checked.", joining.received)
    yield _gauge("joining_donors", "Donors of whom chunks of it are being fetched.", joining.donors)
    yield _counter(
        "joining_lies",
        "Increments when a donor sends what it has not signed, or what makes no sense.",
        joining.lies,
    )


def _catching_up(told: CatchUpStatistics) -> Iterator[Metric]:
    yield _gauge(
        "outer_steps_behind",
        "Outer steps that the others are ahead while the peer fetches their state, else 0.",
        told.behind,
    )
    yield _labelled(
        "catch_ups",
        "Increments when a peer that was left behind has taken the others' state, or could not.",
        "result",
        {"done": told.caught_up, "failed": told.failed},
    )


def _states(state: StateStatistics) -> Metric:
    return _labelled(
        "states",
        "Increments when a newcomer asks for our state: served, or turned_away as every place was taken.",
        "result",
        {"served": state.served, "turned_away": state.turned_away},
    )


def _swarm(swarm: SwarmStatistics) -> Iterator[Metric]:
    yield _gauge("peers_in_view", "Other peers of the run that answered when last asked.", swarm.view.live)
    yield _gauge(
        "alone_seconds",
        "Seconds since the last live peer was in view; 0 while one is.",
        swarm.view.alone_seconds,
    )
    yield _gauge(
        "swarm_size", "Peers of the run, this one included, as far as neighbours tell.", swarm.horizon.size
    )
    yield _counter(
        "splits",
        "Increments when a peer turns out to be of a half of the run that this one's did not know.",
        swarm.horizon.splits,
    )
    yield from _exchanges(swarm.exchange, swarm.match, swarm.bulk_bytes_out)
    yield from _transport(swarm.transport)
    yield from _reach(swarm.reach, swarm.transport)
    yield from _pulls(swarm.pulls)
    if swarm.bulk is not None:
        yield from _lanes(swarm.bulk)
    if swarm.state is not None:
        yield _states(swarm.state)
    yield _counter(
        "bootstrap_attempts",
        "Increments when a bootstrap or cached address is dialled.",
        swarm.discovery.bootstrap_attempts,
    )
    yield _counter(
        "bootstrap_answers",
        "Increments when such an address answers in our run.",
        swarm.discovery.bootstrap_answers,
    )
    yield _labelled(
        "calls",
        "Increments when another peer's call was answered, was for another run, or was malformed.",
        "result",
        {
            "answered": swarm.service.answered,
            "other_run": swarm.service.other_run,
            "malformed": swarm.service.malformed,
        },
    )


def _exchanges(exchange: ExchangeStatistics, match: MatchStatistics, bytes_out: int) -> Iterator[Metric]:
    yield _labelled(
        "exchanges",
        "Increments when an exchange ends: done (mixed), refused (came whole, not fit to mix), failed.",
        "result",
        {"done": exchange.done, "refused": exchange.refused, "failed": exchange.failed},
    )
    yield _labelled(
        "skips",
        "Increments when an outer step ends without a mix, by the reason of its last attempt.",
        "reason",
        match.skips,
    )
    yield _labelled(
        "exchange_bytes",
        "Bytes of shares: in grows when an exchange ends, out with each piece that a peer pulls.",
        "direction",
        {"in": exchange.bytes_in, "out": bytes_out},
    )
    yield _gauge(
        "exchange_deadline_seconds",
        "Seconds after which an exchange that began now would be given up.",
        exchange.deadline,
    )
    yield _labelled(
        "blocks",
        "Increments when a block of a partner's share decodes right by its checksum, or does not.",
        "result",
        {
            "right": exchange.reading.blocks - exchange.reading.failed_blocks,
            "failed": exchange.reading.failed_blocks,
        },
    )
    yield _counter("offers", "Increments when we offer a share to a partner.", match.offers)
    yield _counter("busy_answers", "Increments when such an offer is answered with busy.", match.busy_answers)


def _reach(reach: ReachStatistics, transport: TransportStatistics) -> Iterator[Metric]:
    if reach.verdict.reachable is not None:
        yield _gauge(
            "reachable",
            "1 where new connections reach this peer, by what others found; 0 where none does.",
            reach.verdict.reachable,
        )
    yield _gauge("relays_held", "Addresses of this peer that lead through relays.", len(reach.circuits))
    yield _gauge(
        "relayed_connections", "Open connections that a relay carries.", transport.relayed_connections
    )
    yield _labelled(
        "dial_backs",
        "Increments when a peer has tried to reach this one on its request (in), or this one another (out).",
        "direction",
        {"in": reach.answered, "out": transport.dial_backs_served},
    )
    yield _labelled(
        "punches",
        "Increments when a relayed connection was to become a direct one, by whether it did.",
        "result",
        {
            "direct": transport.punching.succeeded,
            "relayed": transport.punching.failed,
        },
    )
    relay = transport.relay
    yield _gauge("relay_reservations", "Peers that may be reached through this one.", relay.reservations)
    yield _gauge("relay_circuits", "Connections that this peer carries for others.", relay.circuits)
    yield _counter("relay_bytes", "Bytes carried for others, once for each.", relay.bytes)
    yield _counter("relay_refusals", "Increments when a reservation or a circuit is declined.", relay.refused)


def _histogram(peer: PeerStatistics) -> Metric:
    seconds = peer.exchange_seconds
    metric = HistogramMetricFamily(
        f"{PREFIX}exchange_seconds",
        "Seconds from the agreement on an exchange to the end of its mix; counts exchanges that were done.",
    )
    metric.add_metric([], buckets=seconds.cumulated(), sum_value=seconds.total)
    return metric


def _refusals(peer: PeerStatistics) -> Metric:
    return _labelled(
        "refusals",
        "Increments when a partner's share is not fit to mix, by what is wrong with it.",
        "reason",
        {kind: peer.refusals.get(kind, 0) for kind in get_args(Refusal)},
    )


def _transport(transport: TransportStatistics) -> Iterator[Metric]:
    yield _gauge("connections", "Open connections to peers.", transport.connections)
    yield _gauge("dht_peers", "Peers in the routing table of the DHT.", transport.dht_peers)
    yield _counter(
        "dht_evictions",
        "Increments when a peer is thrown out of the routing table.",
        transport.dht_evictions,
    )
    yield _labelled(
        "streams",
        "Increments when a stream is opened by us (out) or accepted from a peer (in).",
        "direction",
        {"in": transport.streams_accepted, "out": transport.streams_opened},
    )
    yield _labelled(
        "stream_bytes",
        "Bytes through our streams, all protocols, before encryption; grows as they pass.",
        "direction",
        {"in": transport.bytes_received, "out": transport.bytes_sent},
    )
    yield _counter(
        "handler_failures",
        "Increments when an accepted stream ends in an error: a hostile or broken peer.",
        transport.handler_failures,
    )


def _pulls(pulls: PullStatistics) -> Iterator[Metric]:
    yield _counter("pulled_bytes", "Bytes of objects that came, copies and bad ones too.", pulls.bytes_in)
    yield _counter(
        "bad_chunks",
        "Increments when a chunk of an object comes without the hash that its sender announced.",
        pulls.bad_chunks,
    )
    yield _counter(
        "resumed_pulls",
        "Increments when the transfer of an object breaks and goes on over a new stream.",
        pulls.resumed,
    )


def _lanes(bulk: BulkStatistics) -> Iterator[Metric]:
    yield _gauge("lanes", "Open TLS connections that carry objects beside the streams.", bulk.lanes)
    yield _labelled(
        "lanes_opened",
        "Increments when a lane is opened by us (out) or by a peer (in).",
        "direction",
        {"in": bulk.answered, "out": bulk.opened},
    )
    yield _labelled(
        "lane_failures",
        "Increments when we cannot open a lane (out), or a caller cannot prove itself (in).",
        "direction",
        {"in": bulk.turned_away, "out": bulk.failed},
    )
    yield _labelled(
        "lane_bytes",
        "Bytes through lanes, before encryption; grows as they pass.",
        "direction",
        {"in": bulk.bytes_in, "out": bulk.bytes_out},
    )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, text, value=value)


def _labelled(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    metric = CounterMetricFamily(PREFIX + name, text, labels=[label])
    for key, value in values.items():
        metric.add_metric([key], value)
    return metric
