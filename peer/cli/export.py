"""`peer export`: the swarm's model as files that others load."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from peer.cli.options import AsJson
from peer.cli.progress import progress
from peer.cli.replicas import BaseModel, Checkpoints, Homes, TokenizerFile, find_replicas, warn_of_stragglers
from peer.telemetry.format import format_bytes

if TYPE_CHECKING:
    from peer.models.export import Exported

CONFIG = "config.json"
"""What only a language model has."""

SHOWN = 3
"""Tensors that are named, those in which the replicas differ most."""


class Precision(StrEnum):
    """How weights are written."""

    FP32 = "fp32"
    BF16 = "bf16"


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the model goes: a new folder.")],
    home: Homes = None,
    checkpoint: Checkpoints = None,
    tokenizer: TokenizerFile = None,
    dtype: Annotated[Precision, typer.Option(help="fp32 is exact; bf16 is half the size.")] = Precision.FP32,
    merge: Annotated[
        bool, typer.Option("--merge", help="Write the base model with a run's adapters in it, as one model.")
    ] = False,
    base: BaseModel = None,
    gguf: Annotated[bool, typer.Option("--gguf", help="Also write model.gguf, for llama.cpp.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export's files.")] = False,
    as_json: AsJson = False,
) -> None:
    """Average replicas into a model for transformers, or adapters.

    It says how far the replicas are apart.

    Example: peer export my-model --home swarm/peer-0 --home swarm/peer-1
    """
    from peer.models.export import Order
    from peer.models.export import export as write

    replicas = find_replicas(home, checkpoint, tokenizer, base)
    warn_of_stragglers(replicas)
    with progress("averaging") as report:
        done = write(replicas, Order(folder, dtype.value, force, gguf, merge), report)
    if as_json:
        sys.stdout.write(msgspec.json.encode(done).decode() + "\n")
    else:
        print(as_text(done))


def as_text(done: "Exported") -> str:
    """Say what was written in a few lines."""
    model = done.model
    size = format_bytes(sum(done.files.values()))
    what = f"{model.parameters:,} parameters"
    if model.base is not None:
        what = {
            "adapters": f"adapters of {what} for {model.base}",
            "merged": f"{model.base} with adapters of {what}",
        }.get(model.kind, what)
    lines = [f"{done.path}: {what}, {model.dtype}, {size}, run {model.run_id[:12]}"]
    wide = max(len(one.name) for one in model.replicas)
    if len(model.replicas) == 1:
        (one,) = model.replicas
        lines.append(f"one replica, {one.name}, at inner step {one.inner_step:,}: nothing was averaged")
    else:
        lines += [
            f"  {one.name:{wide}}  inner step {one.inner_step:,}, {one.distance:.2%} from the mean"
            for one in model.replicas
        ]
        lines.append(f"spread: {model.spread.overall:.2%} of the weights, root mean square; most of all")
        apart = sorted(model.spread.tensors.items(), key=lambda item: -item[1])[:SHOWN]
        lines += [f"  {share:.2%} in {name}" for name, share in apart]
    if model.kind == "adapters":
        lines.append(f"load it: peft.PeftModel.from_pretrained(base, {done.path!r}); see its README.md")
    elif model.kind == "task":
        lines.append(f"how to load it: {done.path}/README.md")
    else:
        lines.append(f'try it: peer sample "Once upon" --model {done.path}')
    return "\n".join(lines)
