"""The average of replicas as a folder that `transformers` loads, which appears whole or not at all."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec
import torch
from safetensors import SafetensorError

from peer.errors import ExportError
from peer.models import card, tokens
from peer.models.forms import GENERATION, GGUF, TOKENIZER_CONFIG, form_of
from peer.models.loaded import CONFIG, PROVENANCE, TOKENIZER, WEIGHTS
from peer.models.replicas import Mean, Replicas, Report, average
from peer.trainer.checkpoint import sync
from peer.trainer.hf import lora

CARD = "README.md"
OURS = (
    *(CARD, PROVENANCE, CONFIG, GENERATION, WEIGHTS, GGUF, TOKENIZER, TOKENIZER_CONFIG),
    *(lora.CONFIG, lora.WEIGHTS, "model-*-of-*.safetensors", "model.safetensors.index.json"),
)
"""What an export may consist of."""

Precision = Literal["fp32", "bf16"]
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Order:
    """What to write.

    Attributes:
        folder: made if it is new.
        force: replace an earlier export's files; others in the folder stay.
        gguf: write llama.cpp's file as well.
        merge: write the base model with the adapters in it, in place of these alone.
    """

    folder: Path
    precision: Precision
    force: bool
    gguf: bool
    merge: bool = False


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written: the object that `peer export --json` prints. Fields keep their names and meanings."""

    path: str
    files: dict[str, int]
    """Sizes in bytes, by name."""
    model: card.Provenance


def export(replicas: Replicas, order: Order, report: Report) -> Exported:
    """Write the average of the replicas and all that others need to load it.

    Args:
        replicas: of one run.
        order: where and how.
        report: told the tensors that are averaged, of all.

    Raises:
        BaseModelError: the run's base model is needed, and is not here, or another one is.
        ExportError: the folder is not empty, or cannot be written; or there is nothing to merge; or GGUF
            cannot hold the run's model or tokenizer.
        ExtraMissingError: GGUF is wanted, or a base model needed, and its library is not installed.
        CheckpointError: a checkpoint is damaged, or of another model.
        DataError: the run's tokenizer file is missing, or not the run's.
    """
    _check(order)
    form = form_of(replicas, gguf=order.gguf, merge=order.merge)
    mean = _unwrapped(average(replicas, report))
    made = provenance(replicas, mean, order.precision, form.kind)
    with _appearing(order) as fresh:
        form.write(fresh, mean.weights, DTYPES[order.precision])
        (fresh / PROVENANCE).write_bytes(tokens.pretty(made))
        (fresh / CARD).write_text(form.card(made), encoding="utf-8")
        for file in fresh.iterdir():
            # What safetensors writes is readable by its owner alone.
            file.chmod((fresh / CARD).stat().st_mode)
        files = {file.name: file.stat().st_size for file in sorted(fresh.iterdir())}
    return Exported(path=str(order.folder), files=files, model=made)


def _unwrapped(mean: Mean) -> Mean:
    """Name tensors as the model itself does, not as that which gives its loss."""
    tensors = {name.removeprefix(lora.WRAPPED): share for name, share in mean.spread.tensors.items()}
    weights = {name.removeprefix(lora.WRAPPED): tensor for name, tensor in mean.weights.items()}
    return Mean(weights, replace(mean.spread, tensors=tensors))


def provenance(replicas: Replicas, mean: Mean, precision: Precision, kind: card.Kind) -> card.Provenance:
    """Return where the mean comes from. No path of this machine is in it: it is published with the model."""
    pretrained = replicas.manifest.model.pretrained
    return card.Provenance(
        run_id=replicas.run_id,
        run_name=replicas.manifest.name,
        preset=replicas.manifest.outer.preset,
        parameters=sum(tensor.numel() for tensor in mean.weights.values()),
        dtype=str(DTYPES[precision]).removeprefix("torch."),
        replicas=[
            card.Origin(
                name=one.name,
                inner_step=one.counters.inner_step,
                outer_step=one.counters.outer_step,
                tokens=one.counters.tokens,
                distance=distance,
            )
            for one, distance in zip(replicas.members, mean.spread.replicas, strict=True)
        ],
        spread=card.Spreads(overall=mean.spread.overall, tensors=mean.spread.tensors),
        kind=kind,
        base=pretrained.source if pretrained else None,
        context=replicas.manifest.model.context,
    )


def _check(order: Order) -> None:
    """See, before anything is computed, that the folder may be written to."""
    folder = order.folder
    try:
        inside = {path.name for path in folder.iterdir()} if folder.exists() else set()
    except OSError as error:
        raise ExportError(f"Cannot export to {folder}: {error.strerror}", "Name another folder") from error
    if inside and not order.force:
        mend = "Name a new folder, or replace an earlier export with --force"
        raise ExportError(f"{folder} is not empty", mend)
    if inside and PROVENANCE not in inside:
        raise ExportError(f"{folder} holds something else than an earlier export", "Name a new folder")


@contextmanager
def _appearing(order: Order) -> Iterator[Path]:
    """Lend a folder beside the one that was named, which takes its place if all goes well."""
    folder = order.folder.absolute()
    fresh = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
        yield fresh
        for file in fresh.iterdir():
            sync(file)
        sync(fresh)
        _move(fresh, folder)
        sync(folder.parent)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        mend = "Free some space, or name a folder where you may write"
        raise ExportError(f"Cannot export to {order.folder}: {reason}", mend) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _move(fresh: Path, folder: Path) -> None:
    if not (folder / PROVENANCE).exists():
        fresh.rename(folder)
        return
    names = {file.name for file in fresh.iterdir()}
    for outdated in {file for pattern in OURS for file in folder.glob(pattern)}:
        if outdated.name not in names:
            outdated.unlink()
    for name in names:
        (fresh / name).replace(folder / name)
