"""What the metrics show: a snapshot of one node, taken when somebody asks."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import cast

import trio

from peer.daemon.node import Node
from peer.errors import ListenError
from peer.telemetry.endpoint import make_routes
from peer.telemetry.http import HttpServer, listening, port_of
from peer.telemetry.metrics import make_registry
from peer.telemetry.statistics import (
    DistanceStatistics,
    PeerLabels,
    PeerStatistics,
    State,
    TrainingStatistics,
)

USUAL_PORT = 9464
"""Prometheus' list of exporters keeps it for OpenTelemetry, which this machine seldom serves as well."""


class Snapshots:
    """Takes snapshots of a node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._began = trio.current_time()

    def __call__(self) -> PeerStatistics:
        """Read everything that is counted anywhere in the daemon."""
        node, told = self._node, self._node.reporter
        status = node.status()
        return PeerStatistics(
            labels=PeerLabels(
                peer_id=status.peer_id,
                run_id=status.run_id,
                preset=status.preset,
                codec=status.codec,
                version=version("murmuration-peer"),
            ),
            state=cast("State", status.state),
            uptime_seconds=trio.current_time() - self._began,
            trainer_restarts=status.trainer_restarts,
            exchange_seconds=told.exchange_seconds.statistics(),
            training=self._training(),
            distance=self._distance(),
            swarm=node.swarm.statistics(),
            joining=node.joining.statistics(),
            catching_up=node.catching_up.statistics(),
            disk=node.disk(),
            checkpoints=told.checkpoints,
            refusals=told.refusals,
            pausing=node.pausing.statistics(),
            governor=node.governor.statistics(),
        )

    def _training(self) -> TrainingStatistics | None:
        told = self._node.reporter
        progress = told.progress
        if progress is None:
            return None
        return TrainingStatistics(
            inner_step=progress.inner_step,
            outer_step=progress.outer_step,
            tokens=progress.tokens,
            loss=progress.loss,
            tokens_per_second=progress.tokens_per_second,
            learning_rate=progress.learning_rate,
            ranks=told.ranks,
            micro_batch=told.micro_batch,
        )

    def _distance(self) -> DistanceStatistics | None:
        mixed = self._node.reporter.last_mix
        return DistanceStatistics(mixed.distance, mixed.relative_distance) if mixed else None

    def complaint(self) -> str | None:
        """Say what is wrong with the peer, or None where it is well."""
        status = self._node.status()
        if status.state == "restarting trainer":
            return "the trainer died and is being restarted"
        return None


@asynccontextmanager
async def open_metrics(host: str, port: int | None) -> AsyncIterator[Sequence[trio.SocketListener]]:
    """Listen where metrics are to be served.

    Args:
        host: the address of this machine at which to serve them; 0.0.0.0 for all.
        port: None for the usual port, or any free one where it is taken; 0 for any free one.

    Raises:
        ListenError: the port was asked for and is taken, or the address is not ours.
    """
    async with AsyncExitStack() as stack:
        try:
            listeners = await stack.enter_async_context(listening(host, USUAL_PORT if port is None else port))
        except ListenError:
            if port is not None:
                raise
            listeners = await stack.enter_async_context(listening(host, 0))
        yield listeners


async def serve_metrics(node: Node, host: str, listeners: Sequence[trio.SocketListener]) -> None:
    """Serve a node's `/metrics` and `/healthz` until cancelled, where `open_metrics` listens."""
    snapshots = Snapshots(node)
    server = HttpServer(make_routes(make_registry(snapshots), snapshots.complaint))
    node.serves_metrics(f"http://{_called(host)}:{port_of(listeners)}/metrics")
    await server.serve(listeners)


def _called(host: str) -> str:
    """Return what to write into a URL that this machine opens."""
    if host == "0.0.0.0":  # noqa: S104 - nothing is bound here
        return "127.0.0.1"
    return f"[{'::1' if host == '::' else host}]" if ":" in host else host
