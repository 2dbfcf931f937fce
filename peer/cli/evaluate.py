"""`peer evaluate`: how well replicas, their average, or an exported model predict a text."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from peer.cli.options import AsJson, RunDevice
from peer.cli.progress import progress
from peer.cli.replicas import (
    BaseModel,
    Homes,
    ModelFolder,
    TokenizerFile,
    find_replicas,
    one_source,
    warn_of_stragglers,
)
from peer.errors import UsageError
from peer.telemetry.format import format_bytes, printable

if TYPE_CHECKING:
    import torch

    from peer.models.held_out import HeldOut
    from peer.models.replicas import Replicas
    from peer.models.report import Evaluation


def evaluate(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A text file (UTF-8); without one, what the run holds out."),
    ] = None,
    home: Homes = None,
    model: ModelFolder = None,
    tokenizer: TokenizerFile = None,
    base: BaseModel = None,
    device: RunDevice = "cpu",
    as_json: AsJson = False,
) -> None:
    """Measure the loss of replicas and of their average.

    Or that of an exported model.

    A task of a plug-in is measured by its own evaluation, on the examples that it holds out.

    Example: peer evaluate book.txt --home swarm/peer-0 --home swarm/peer-1
    """
    from peer.models.report import evaluate_folder, evaluate_replicas
    from peer.trainer.device import choose

    one_source(home, model)
    chosen = choose(device)
    if file is None:
        if model is not None:
            raise UsageError("An exported model has nothing held out", "Name a text file to measure it on")
        _held_out(find_replicas(home, tokenizer=tokenizer, base=base), chosen, as_json=as_json)
        return
    if model is not None:
        with progress(model.name) as report:
            done = evaluate_folder(model, file, chosen, report)
    else:
        replicas = find_replicas(home, tokenizer=tokenizer, base=base)
        warn_of_stragglers(replicas)
        with progress(file.name) as report:
            done = evaluate_replicas(replicas, file, chosen, report)
    if as_json:
        sys.stdout.write(msgspec.json.encode(done).decode() + "\n")
    else:
        print(f"{done.path}: {format_bytes(done.bytes)}, {done.tokens:,} tokens")
        Console().print(table(done))


def _held_out(replicas: "Replicas", device: "torch.device", *, as_json: bool) -> None:
    from peer.models.held_out import evaluate_held_out

    warn_of_stragglers(replicas)
    with progress("held-out examples") as report:
        done = evaluate_held_out(replicas, device, report)
    if as_json:
        sys.stdout.write(msgspec.json.encode(done).decode() + "\n")
    else:
        print("what the run holds out")
        Console().print(held_out_table(done))


def held_out_table(done: "HeldOut") -> Table:
    """Draw the losses on what the run holds out, and what its task tells beside them."""
    measures = list(done.models[0].measures)
    drawn = Table(box=None, pad_edge=False)
    drawn.add_column("model", no_wrap=True)
    for name in ("step", "loss" if done.task else "nats a token", *map(printable, measures)):
        drawn.add_column(name, justify="right")
    for one in done.models:
        step = "" if one.inner_step is None else f"{one.inner_step:,}"
        values = (one.loss, *(one.measures[name] for name in measures))
        drawn.add_row(one.name, step, *(f"{value:.4f}" for value in values))
    return drawn


def table(done: "Evaluation") -> Table:
    """Draw the scores."""
    drawn = Table(box=None, pad_edge=False)
    drawn.add_column("model", no_wrap=True)
    for name in ("step", "nats a token", "perplexity", "bits a byte"):
        drawn.add_column(name, justify="right")
    for one in done.models:
        step = "" if one.inner_step is None else f"{one.inner_step:,}"
        drawn.add_row(one.name, step, f"{one.loss:.4f}", f"{one.perplexity:,.2f}", f"{one.bits_per_byte:.4f}")
    return drawn
