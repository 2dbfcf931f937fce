"""`peer start`: the daemon, in the foreground."""

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import trio
import typer

from peer.cli.options import Home, TrainDevice
from peer.daemon.settings import Settings
from peer.paths import DEFAULT_HOME
from peer.units import rate


class LogFormat(StrEnum):
    """How the log on standard error reads."""

    TEXT = "text"
    JSON = "json"


def start(
    home: Home = DEFAULT_HOME,
    bootstrap: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDR", help="A peer of the run to join, such as /ip4/../tcp/../p2p/..; repeatable."
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A run.toml to found a run from (see `peer init`).")
    ] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDR", help="Where to listen, such as /ip4/0.0.0.0/tcp/4001; repeatable."),
    ] = None,
    announce: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDR",
            help="The address that leads here: a router's, with its port forwarded; repeatable.",
        ),
    ] = None,
    announce_loopback: Annotated[
        bool, typer.Option(help="Tell others our loopback addresses too: all peers are on this machine.")
    ] = False,
    relay: Annotated[
        bool,
        typer.Option(help="Help peers behind routers to be reached, where others can dial us."),
    ] = True,
    upnp: Annotated[bool, typer.Option(help="Ask the router for a port, where there is a router.")] = True,
    bulk_port: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=65535,
            help="A second TCP port, for the fast transfer of shares; forward it as well. 0: any free one.",
        ),
    ] = 0,
    upload_limit: Annotated[
        float | None,
        typer.Option(
            metavar="RATE", parser=rate, help="The most to give others, such as 10Mbit or 1.2MB a second."
        ),
    ] = None,
    download_limit: Annotated[
        float | None,
        typer.Option(metavar="RATE", parser=rate, help="The most to fetch from others, written likewise."),
    ] = None,
    device: TrainDevice = "auto",
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Inner step after which to leave; default: go on for ever."),
    ] = None,
    shard: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="Shard of the data to read; default: one that nobody in view reads."
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Where this host keeps the run's text, token file or data set; several in the run's order.",
        ),
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where this host keeps the run's tokenizer file.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where this host keeps the run's first weights.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The run's base model: its folder on this host, or its name on the Hugging Face Hub.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Let this task of an installed plug-in run here, if the run is of it."
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=65536,
            help="Sequences of one inner step on this host; default: the run's.",
        ),
    ] = None,
    micro_batch: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=65536,
            help="The most sequences in one pass through a device; default: as many as its memory holds.",
        ),
    ] = None,
    metrics_host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where to serve /metrics: 0.0.0.0 lets other machines read them, with no password.",
        ),
    ] = "127.0.0.1",
    metrics_port: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=65535, help="Port of /metrics; default 9464, or any where it is taken."
        ),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the run's numbers there, for TensorBoard (an extra)."),
    ] = None,
    wandb: Annotated[
        str | None,
        typer.Option(metavar="PROJECT", help="Log the run's numbers to Weights & Biases (an extra)."),
    ] = None,
    log_format: Annotated[LogFormat, typer.Option(help="How the log reads.")] = LogFormat.TEXT,
    stop_on_eof: Annotated[
        bool, typer.Option(help="Leave when standard input ends, for programs that start peers.")
    ] = False,
) -> None:
    """Found a run, join one, or go on where this home left off.

    It runs in the foreground, until Ctrl-C.

    Example: peer start --bootstrap /ip4/203.0.113.7/tcp/4001/p2p/12D3KooW...
    """
    from peer.daemon.supervisor import run_daemon

    settings = Settings(
        home=home,
        run_file=run,
        bootstraps=tuple(bootstrap or ()),
        listen=tuple(listen or ()),
        announce=tuple(announce or ()),
        announce_loopback=announce_loopback,
        relay=relay,
        upnp=upnp,
        bulk_port=bulk_port,
        upload_limit=math.inf if upload_limit is None else upload_limit,
        download_limit=math.inf if download_limit is None else download_limit,
        device=device,
        stop_at=steps,
        shard=shard,
        data_paths=tuple(data or ()),
        tokenizer_path=tokenizer,
        weights_path=weights,
        model=model,
        task=task,
        batch=batch,
        micro_batch=micro_batch,
        metrics_host=metrics_host,
        metrics_port=metrics_port,
        tensorboard=tensorboard,
        wandb=wandb,
        log_format=log_format.value,
        stop_on_eof=stop_on_eof,
    )
    trio.run(run_daemon, settings)
