"""Weights & Biases. What it gathers of the machine by itself is turned off: only our numbers leave."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WandbRun:
    """Which run of Weights & Biases takes the numbers.

    Attributes:
        project: the project there.
        group: brings the peers of a swarm together: our run's name.
        name: what tells them apart: the peer.
        run_id: the same for the same peer in the same run, so that it goes on after a restart.
        folder: where it keeps its files.
    """

    project: str
    group: str
    name: str
    run_id: str
    folder: Path


class Wandb:
    """Logs to one run; `WANDB_MODE=offline` keeps it on this machine, for `wandb sync` later.

    Raises:
        Exception: as `wandb.init`, where nobody has logged in, for one. It never asks.
    """

    def __init__(self, run: WandbRun) -> None:
        import wandb

        settings = wandb.Settings(
            console="off",
            silent=True,  # it would ask for a key on the daemon's terminal
            disable_git=True,
            save_code=False,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        self._run = wandb.init(
            project=run.project,
            group=run.group,
            name=run.name,
            id=run.run_id,
            resume="allow",
            dir=run.folder,
            settings=settings,
        )
        # A trainer that goes back to its checkpoint repeats steps, which Wandb's own steps may not.
        self._run.define_metric("inner_step")
        self._run.define_metric("*", step_metric="inner_step")

    def write(self, moment: float, step: int, values: Mapping[str, float]) -> None:
        """See `Sink`."""
        self._run.log({**values, "inner_step": step, "_timestamp": moment})

    def close(self) -> None:
        """See `Sink`."""
        self._run.finish()
