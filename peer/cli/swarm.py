"""`peer swarm`: a whole swarm on this machine, from one command."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, get_args

import typer

from peer.cli.options import AsJson, TrainDevice
from protocol.manifest import CodecName
from protocol.presets import PRESETS

Preset = StrEnum("Preset", {name.upper(): name for name in PRESETS})  # type: ignore[misc]
Codec = StrEnum("Codec", {name.upper(): name for name in get_args(CodecName)})  # type: ignore[misc]


def swarm(
    peers: Annotated[
        int, typer.Option(metavar="N", min=1, max=64, help="How many peer processes to start.")
    ] = 4,
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Inner steps that each peer makes.")] = 200,
    preset: Annotated[Preset | None, typer.Option(help="The outer rule; default: the run's.")] = None,
    codec: Annotated[Codec | None, typer.Option(help="The codec; default: the run's.")] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="First weights (safetensors); default: drawn from the run's seed."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A run.toml (see `peer init`); default: the small run."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the homes go; default: swarm/ and the time.")
    ] = None,
    device: TrainDevice = "auto",
    as_json: AsJson = False,
) -> None:
    """Train with a whole swarm on this machine. Its peers find each other; a report says what they learned.

    Example: peer swarm --peers 4 --steps 200
    """
    from peer.local.run import Order, run_swarm

    order = Order(
        peers=peers,
        steps=steps,
        preset=preset.value if preset else None,
        codec=codec.value if codec else None,
        weights=weights,
        run_file=run,
        folder=folder,
        device=device,
    )
    run_swarm(order, as_json=as_json)
