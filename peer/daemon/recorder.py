"""Feeds sinks with what the daemon knows: the numbers that people plot."""

import math
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import trio

from peer.daemon.node import Node
from peer.daemon.settings import Settings
from peer.errors import ExtraMissingError
from peer.telemetry import events
from peer.telemetry.format import short_peer
from peer.telemetry.log import Log
from peer.telemetry.sinks.sink import SinkThread
from peer.telemetry.sinks.tensorboard import TensorBoard
from peer.telemetry.sinks.wandb import Wandb, WandbRun

LEAST, MOST = 1.0, 60.0
"""Seconds between two points."""

POINTS = 1000
"""A run of any length gets about so many points each time that it doubles."""

PATIENCE = 5.0
"""Seconds that the sinks have at the end, all of them together."""


def check_extras(settings: Settings) -> None:
    """Look whether what was asked for is installed, before anything starts.

    Raises:
        ExtraMissingError: it is not.
    """
    for wanted, package in ((settings.tensorboard, "tensorboard"), (settings.wandb, "wandb")):
        if wanted is not None and find_spec(package) is None:
            raise ExtraMissingError(f"--{package}", package)


def open_sinks(settings: Settings, node: Node, home: Path) -> list[SinkThread]:
    """Begin with the sinks that were asked for; each opens in its thread."""
    sinks = []
    if settings.tensorboard is not None:
        sinks.append(SinkThread("TensorBoard", partial(TensorBoard, settings.tensorboard)))
    if settings.wandb is not None:
        status = node.status()
        run = WandbRun(
            project=settings.wandb,
            group=f"{status.run_name}-{status.run_id[:8]}",
            name=short_peer(status.peer_id),
            run_id=f"{status.run_id[:12]}-{status.peer_id[-12:]}",
            folder=home,
        )
        sinks.append(SinkThread("Weights & Biases", partial(Wandb, run)))
    return sinks


class Recorder:
    """Hands points of a node to sinks. One that fails is told of once, and left alone."""

    def __init__(self, node: Node, sinks: Sequence[SinkThread], log: Log) -> None:
        self._node = node
        self._sinks = list(sinks)
        self._log = log
        self._began = trio.current_time()
        self._step = -1

    async def run(self) -> None:
        """Record until cancelled: often at first, ever more seldom in a long run."""
        while self._sinks:
            await trio.sleep(pause(trio.current_time() - self._began))
            self.record()

    def record(self) -> None:
        """Hand over what is true now, if training has gone on since the last time."""
        told = self._node.reporter.progress
        if told is not None and told.inner_step != self._step:
            self._step = told.inner_step
            point = values(self._node)
            for sink in self._sinks:
                sink.put(self._step, point)
        for sink in list(self._sinks):
            if (failure := sink.statistics().failure) is not None:
                self._sinks.remove(sink)
                self._log(events.SinkFailed(sink=sink.name, reason=failure))

    async def finish(self) -> None:
        """Hand over the last point, and let the sinks write what waits; what hangs is left behind."""
        self.record()
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for sink in self._sinks:
                    nursery.start_soon(trio.to_thread.run_sync, sink.close, PATIENCE)


def pause(elapsed: float) -> float:
    """Return the seconds to the next point, `elapsed` seconds into a run."""
    return min(max(elapsed / POINTS, LEAST), MOST)


def values(node: Node) -> dict[str, float]:
    """Return the numbers of this moment; what is not known yet is left out."""
    told, swarm = node.reporter, node.swarm.statistics()
    progress, mix, loss = told.progress, told.last_mix, told.take_loss()
    found: dict[str, float | None] = {
        "loss": loss,
        "tokens_per_second": progress.tokens_per_second if progress else None,
        "learning_rate": progress.learning_rate if progress else None,
        "tokens": progress.tokens if progress else None,
        "outer_step": progress.outer_step if progress else None,
        "exchanges": swarm.exchange.done,
        "skips": sum(swarm.match.skips.values()),
        "relative_distance": mix.relative_distance if mix else None,
        "peers_in_view": swarm.view.live,
    }
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}
