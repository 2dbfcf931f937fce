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
from safetensors.torch import save_file
from torch import Tensor

from peer.errors import ExportError
from peer.models import card, llama, task_card, tokens
from peer.models.loaded import CONFIG, TOKENIZER, WEIGHTS
from peer.models.replicas import Mean, Replicas, Report, average
from peer.trainer.checkpoint import sync
from peer.trainer.hf.lora import WRAPPED
from protocol.foreign import Task

CARD = "README.md"
GENERATION = "generation_config.json"
GGUF = "model.gguf"
PROVENANCE = "murmuration.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
OURS = frozenset({CARD, CONFIG, GENERATION, GGUF, PROVENANCE, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS})

NEW_TOKENS = 100
"""Tokens that `generate` writes where its caller does not say."""

Precision = Literal["fp32", "bf16"]
DTYPES: dict[Precision, tuple[torch.dtype, llama.Dtype]] = {
    "fp32": (torch.float32, "float32"),
    "bf16": (torch.bfloat16, "bfloat16"),
}


@dataclass(frozen=True, slots=True)
class Order:
    """What to write.

    Attributes:
        folder: made if it is new.
        force: replace an earlier export's files; others in the folder stay.
        gguf: write llama.cpp's file as well.
    """

    folder: Path
    precision: Precision
    force: bool
    gguf: bool


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
        ExportError: the folder is not empty, or cannot be written, or GGUF cannot hold the run's model.
        ExtraMissingError: GGUF is wanted, and its library is not installed.
        CheckpointError: a checkpoint is damaged, or of another model.
        DataError: the run's tokenizer file is missing, or not the run's.
    """
    _check(order)
    manifest = replicas.manifest
    if manifest.task:
        return _export_task(replicas, manifest.task, order, report)
    tokenizer = tokens.tokenizer_json(manifest.tokenizer, replicas.tokenizer_path)
    if order.gguf:
        from peer.models import gguf_file

        gguf_file.check(tokenizer)
    mean = average(replicas, report)
    made = provenance(replicas, mean, order.precision)
    dtype, dtype_name = DTYPES[order.precision]
    weights = {name: tensor.to(dtype) for name, tensor in mean.weights.items()}
    config = llama.config(manifest.model, manifest.tokenizer.vocabulary, dtype_name)
    with _appearing(order) as fresh:
        _save(weights, fresh / WEIGHTS)
        if order.gguf:
            gguf_file.write(fresh / GGUF, manifest, weights, tokenizer)
        for name, content in {
            CONFIG: tokens.pretty(config),
            GENERATION: tokens.pretty(llama.GenerationConfig(min(NEW_TOKENS, manifest.model.context // 2))),
            TOKENIZER: tokenizer,
            TOKENIZER_CONFIG: tokens.pretty(tokens.tokenizer_config(manifest.model.context)),
            PROVENANCE: tokens.pretty(made),
            CARD: card.write(manifest, made, gguf=order.gguf).encode(),
        }.items():
            (fresh / name).write_bytes(content)
        files = _sizes(fresh)
    return Exported(path=str(order.folder), files=files, model=made)


def _export_task(replicas: Replicas, task: Task, order: Order, report: Report) -> Exported:
    """Write the weights of a plug-in's model under its own names; how to build it, the plug-in knows."""
    if order.gguf:
        raise ExportError(f"GGUF cannot hold the model of the task {task.name}", "Leave --gguf out")
    mean = _unwrapped(average(replicas, report))
    made = provenance(replicas, mean, order.precision)
    dtype, _ = DTYPES[order.precision]
    weights = {name: tensor.to(dtype) for name, tensor in mean.weights.items()}
    with _appearing(order) as fresh:
        save_file(weights, fresh / WEIGHTS, metadata={"format": "pt"})
        (fresh / PROVENANCE).write_bytes(tokens.pretty(made))
        (fresh / CARD).write_text(task_card.write(task, made), encoding="utf-8")
        files = _sizes(fresh)
    return Exported(path=str(order.folder), files=files, model=made)


def _unwrapped(mean: Mean) -> Mean:
    """Name tensors as the plug-in's own model does."""
    tensors = {name.removeprefix(WRAPPED): share for name, share in mean.spread.tensors.items()}
    weights = {name.removeprefix(WRAPPED): tensor for name, tensor in mean.weights.items()}
    return Mean(weights, replace(mean.spread, tensors=tensors))


def _sizes(fresh: Path) -> dict[str, int]:
    """Return the sizes of the files, by name, which all may read now."""
    # What safetensors writes is readable by its owner alone.
    (fresh / WEIGHTS).chmod((fresh / CARD).stat().st_mode)
    return {file.name: file.stat().st_size for file in sorted(fresh.iterdir())}


def provenance(replicas: Replicas, mean: Mean, precision: Precision) -> card.Provenance:
    """Return where the mean comes from. No path of this machine is in it: it is published with the model."""
    return card.Provenance(
        run_id=replicas.run_id,
        run_name=replicas.manifest.name,
        preset=replicas.manifest.outer.preset,
        parameters=sum(tensor.numel() for tensor in mean.weights.values()),
        dtype=DTYPES[precision][1],
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
    for name in OURS - names:
        (folder / name).unlink(missing_ok=True)
    for name in names:
        (fresh / name).replace(folder / name)


def _save(weights: dict[str, Tensor], file: Path) -> None:
    # Other programs ask for the entry `format`.
    save_file({llama.PREFIX + name: one for name, one in weights.items()}, file, metadata={"format": "pt"})
