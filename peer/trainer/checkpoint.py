"""Checkpoints: folders that appear whole or not at all, the last three kept, damaged ones passed over."""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from peer.errors import CheckpointError, HomeError
from peer.trainer.flat import trainable
from peer.trainer.order import Position

FORMAT = 1
KEEP = 3
WEIGHTS = "model.safetensors"
STATE = "state.safetensors"
INDEX = "checkpoint.json"

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Counters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a replica has come.

    Attributes:
        inner_step: of the run, a newcomer's begins where its donor stood.
        outer_step: of the run, likewise.
        tokens: trained on by this replica and by the donors that it descends from.
        own_steps: inner steps that the inner optimiser's state has seen.
        position: where this peer stands in the order of the data.
    """

    inner_step: int = 0
    outer_step: int = 0
    tokens: int = 0
    own_steps: int = 0
    position: Position = Position()


@dataclass(frozen=True, slots=True)
class Contents:
    """A checkpoint's contents.

    Attributes:
        weights: the fast weights θ under the model's names and in its shapes.
        state: everything else that training goes on from, 1-D each, under the names that the replica gives.
    """

    counters: Counters
    weights: dict[str, Tensor]
    state: dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint on disk whose weights are whole.

    Attributes:
        path: its folder.
        run: the run id, in hex.
    """

    path: Path
    run: str
    counters: Counters


class _Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    run: str
    counters: Counters
    sha256: dict[str, str]


class Draft:
    """The tensors of a checkpoint, written as they were; `complete` makes a checkpoint of them.

    Completing it takes as long again, and needs no weights: training may go on meanwhile.
    """

    def __init__(self, folder: Path, run_id: bytes, contents: Contents) -> None:
        """Write the tensors.

        Raises:
            HomeError: the disk refused.
        """
        self._folder, self._run_id, self._counters = folder, run_id, contents.counters
        self._target = folder / f"step-{contents.counters.inner_step:08d}"
        self._fresh = folder / f".new-{self._target.name}"
        with self._no_litter():
            for left_over in folder.glob(".*-step-*"):
                shutil.rmtree(left_over, ignore_errors=True)
            self._fresh.mkdir(parents=True)
            save_file(contents.weights, self._fresh / WEIGHTS)
            save_file(contents.state, self._fresh / STATE)

    def complete(self) -> Path:
        """Make it `folder/step-<inner step>`, drop all but the newest three, and return its path.

        Raises:
            HomeError: the disk refused.
        """
        target, old = self._target, self._folder / f".old-{self._target.name}"
        with self._no_litter():
            _write_index(self._fresh, self._run_id, self._counters)
            if target.exists():
                target.rename(old)
            self._fresh.rename(target)
            sync(self._folder)
            shutil.rmtree(old, ignore_errors=True)
            for outdated in paths(self._folder)[KEEP:]:
                # The daemon drops them as well, where the home has a limit.
                shutil.rmtree(outdated, ignore_errors=True)
        return target

    @contextmanager
    def _no_litter(self) -> Iterator[None]:
        try:
            yield
        except (OSError, SafetensorError) as error:
            # Training goes on, and needs the space for its shares.
            shutil.rmtree(self._fresh, ignore_errors=True)
            raise HomeError(
                f"the checkpoint {self._target} cannot be written: {error}",
                "Free some space, or check the folder's permissions.",
            ) from error


def save(folder: Path, run_id: bytes, contents: Contents) -> Path:
    """Write `folder/step-<inner step>` atomically, drop all but the newest three, and return its path.

    Raises:
        HomeError: the disk refused.
    """
    return Draft(folder, run_id, contents).complete()


def paths(folder: Path) -> list[Path]:
    """Return the checkpoints in `folder`, the newest first, whole or not."""
    return sorted(folder.glob("step-*"), reverse=True)


def newest(folder: Path, run_id: bytes) -> Contents | None:
    """Return the newest checkpoint that is whole, with a warning for each that is not; None if none exists.

    Raises:
        CheckpointError: all are damaged, or one is of another run.
    """
    return _first_whole(folder, lambda path: _read(path, run_id))


def examine(path: Path) -> Saved:
    """Return what the checkpoint at `path` says of itself, once its weights have been held to their hash.

    Raises:
        CheckpointError: it is damaged, or none.
    """
    if not (path / INDEX).is_file():
        remedy = "Name one of those in checkpoints/ of a peer's home, or the home with --home."
        raise CheckpointError(f"there is no checkpoint in {path}", remedy)
    try:
        return _examine(path)
    except _DamageError as damage:
        raise CheckpointError(
            f"the checkpoint {path} is damaged: {damage}", "Choose another one."
        ) from damage


def newest_weights(folder: Path) -> Saved | None:
    """Return the newest checkpoint whose weights are whole, of whatever run; as `newest`, but loads nothing.

    Raises:
        CheckpointError: all are damaged.
    """
    return _first_whole(folder, _examine)


@torch.no_grad()
def load_weights(path: Path, module: nn.Module) -> None:
    """Copy the fast weights of the checkpoint at `path` into `module`.

    Raises:
        CheckpointError: it is damaged, or of another model.
    """
    weights, parameters = read_weights(path), trainable(module)
    if {name: tensor.shape for name, tensor in weights.items()} != {
        name: parameter.shape for name, parameter in parameters.items()
    }:
        raise CheckpointError(f"the checkpoint {path} is of another model", "Choose one of this run.")
    for name, parameter in parameters.items():
        parameter.copy_(weights[name])


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the fast weights of the checkpoint at `path`, by name.

    Raises:
        CheckpointError: it is damaged.
    """
    try:
        return _load_tensors(path / WEIGHTS)
    except _DamageError as damage:
        raise CheckpointError(
            f"the checkpoint {path} is damaged: {damage}", "Choose another one."
        ) from damage


class _DamageError(Exception):
    """Why a checkpoint cannot be used."""


def _write_index(folder: Path, run_id: bytes, counters: Counters) -> None:
    hashes: dict[str, str] = {}
    for name in (WEIGHTS, STATE):
        hashes[name] = _hash(folder / name)
        sync(folder / name)
    index = _Index(format=FORMAT, run=run_id.hex(), counters=counters, sha256=hashes)
    (folder / INDEX).write_bytes(msgspec.json.format(msgspec.json.encode(index)))
    sync(folder / INDEX)
    sync(folder)


def _first_whole(folder: Path, read: Callable[[Path], T]) -> T | None:
    candidates = paths(folder)
    for candidate in candidates:
        try:
            return read(candidate)
        except _DamageError as damage:
            _log.warning("checkpoint %s is damaged (%s); trying the one before", candidate, damage)
    if candidates:
        raise CheckpointError(
            f"none of the {len(candidates)} checkpoints in {folder} is whole",
            "Restore one from a copy, or remove the folder to start again.",
        )
    return None


def _examine(path: Path) -> Saved:
    index = _read_index(path)
    _compare(path, index, WEIGHTS)
    return Saved(path, index.run, index.counters)


def _read(path: Path, run_id: bytes) -> Contents:
    index = _read_index(path)
    if index.run != run_id.hex():
        raise CheckpointError(
            f"the checkpoint {path} is of the run {index.run[:12]}, not of {run_id.hex()[:12]}",
            "Use another home folder for this run.",
        )
    for name in (WEIGHTS, STATE):
        _compare(path, index, name)
    return Contents(index.counters, _load_tensors(path / WEIGHTS), _load_tensors(path / STATE))


def _read_index(path: Path) -> _Index:
    try:
        index = msgspec.json.decode((path / INDEX).read_bytes(), type=_Index)
    except (OSError, msgspec.MsgspecError) as error:
        raise _DamageError(error) from error
    if index.format != FORMAT:
        raise _DamageError(f"its format is {index.format}, this version reads {FORMAT}")
    return index


def _compare(path: Path, index: _Index, name: str) -> None:
    if index.sha256.get(name) != _hash(path / name):
        raise _DamageError(f"{name} differs from its hash")


def _load_tensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise _DamageError(f"{file.name}: {error}") from error


def _hash(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise _DamageError(f"{file.name}: {error}") from error


def sync(path: Path) -> None:
    """Make what is at `path`, a file or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
