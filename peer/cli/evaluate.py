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
from peer.cli.replicas import Homes, ModelFolder, TokenizerFile, find_replicas, one_source, warn_of_stragglers
from peer.telemetry.format import format_bytes

if TYPE_CHECKING:
    from peer.models.report import Evaluation


def evaluate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A text file (UTF-8).")],
    home: Homes = None,
    model: ModelFolder = None,
    tokenizer: TokenizerFile = None,
    device: RunDevice = "cpu",
    as_json: AsJson = False,
) -> None:
    """Measure the loss on a text: of each replica and of their average, or of an exported model.

    Example: peer evaluate book.txt --home swarm/peer-0 --home swarm/peer-1
    """
    from peer.models.report import evaluate_folder, evaluate_replicas
    from peer.trainer.device import choose

    one_source(home, model)
    chosen = choose(device)
    if model is not None:
        with progress(model.name) as report:
            done = evaluate_folder(model, file, chosen, report)
    else:
        replicas = find_replicas(home, tokenizer=tokenizer)
        warn_of_stragglers(replicas)
        with progress(file.name) as report:
            done = evaluate_replicas(replicas, file, chosen, report)
    if as_json:
        sys.stdout.write(msgspec.json.encode(done).decode() + "\n")
    else:
        print(f"{done.path}: {format_bytes(done.bytes)}, {done.tokens:,} tokens")
        Console().print(table(done))


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
