"""Replicas of one run, and their average with the spread between them."""

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from peer.errors import CheckpointError
from peer.trainer.checkpoint import WEIGHTS, Counters
from peer.trainer.model import Transformer
from peer.trainer.work import Places
from protocol.manifest import Manifest

Report = Callable[[int, int], None]
"""Told how many of how many parts are done."""


def unheard(done: int, of: int) -> None:
    """Take a report, and tell nobody."""
    del done, of


@dataclass(frozen=True, slots=True)
class Replica:
    """One peer's weights.

    Attributes:
        name: how people tell it from the others, such as `peer-0`.
        path: the folder of its checkpoint.
    """

    name: str
    path: Path
    counters: Counters


@dataclass(frozen=True, slots=True)
class Replicas:
    """Replicas of one run; at least one.

    Attributes:
        run_id: in hex.
        places: where this host keeps what the manifest names by its hash.
    """

    run_id: str
    manifest: Manifest
    places: Places
    members: tuple[Replica, ...]

    @property
    def tokenizer_path(self) -> Path | None:
        """The run's tokenizer file on this host; None for bytes, or for the base model's own."""
        return self.places.tokenizer


@dataclass(frozen=True, slots=True)
class Spread:
    """How far replicas are from their mean, as shares of the mean's own length (both L2).

    Attributes:
        overall: root of the mean square of `replicas`.
        replicas: of each, in their order.
        tensors: as `overall`, but of each tensor for itself, by name.
    """

    overall: float
    replicas: tuple[float, ...]
    tensors: dict[str, float]


@dataclass(frozen=True, slots=True)
class Mean:
    """The average of replicas.

    Attributes:
        weights: fp32, under the model's own names.
    """

    weights: dict[str, Tensor]
    spread: Spread


def empty(manifest: Manifest) -> Transformer:
    """Return the run's model without memory for its weights: names and shapes."""
    with torch.device("meta"):
        return Transformer(manifest.model, manifest.tokenizer.vocabulary)


def average(replicas: Replicas, report: Report = unheard) -> Mean:
    """Average the replicas, tensor by tensor: never more than the mean and a few tensors are in memory.

    Raises:
        CheckpointError: a checkpoint is gone, damaged or of another model, or its weights are not finite.
    """
    shapes = shapes_of(replicas.manifest, replicas.members[0])
    weights: dict[str, Tensor] = {}
    tensors: dict[str, float] = {}
    lengths = 0.0
    squares = [0.0] * len(replicas.members)
    with ExitStack() as stack:
        files = [stack.enter_context(_Weights(replica, shapes)) for replica in replicas.members]
        for done, name in enumerate(shapes):
            report(done, len(shapes))
            total = torch.zeros(shapes[name], dtype=torch.float64)
            for file in files:
                total += file.read(name)
            mean = total / len(files)
            apart = [float((mean - file.read(name)).square().sum()) for file in files]
            length = float(mean.square().sum())
            if not math.isfinite(length + sum(apart)):
                raise CheckpointError(
                    f"{name} is not finite in {' or '.join(str(file.path) for file in files)}",
                    "Leave out the replica that diverged.",
                )
            weights[name], tensors[name] = mean.float(), _share(sum(apart) / len(apart), length)
            squares = [square + more for square, more in zip(squares, apart, strict=True)]
            lengths += length
    report(len(shapes), len(shapes))
    return Mean(
        weights,
        Spread(
            overall=_share(sum(squares) / len(squares), lengths),
            replicas=tuple(_share(square, lengths) for square in squares),
            tensors=tensors,
        ),
    )


def shapes_of(manifest: Manifest, example: Replica) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the weights that are trained.

    Those of a plug-in's model, or a base model's, are taken from one checkpoint: nothing else is needed.

    Raises:
        CheckpointError: it cannot be read, or is of another model.
    """
    foreign = manifest.task or manifest.model.pretrained
    if not foreign:
        return {name: tuple(parameter.shape) for name, parameter in empty(manifest).named_parameters()}
    with _Weights(example, None) as file:
        if sum(map(math.prod, file.shapes.values())) != foreign.layout.parameters:
            raise file.of_another_model()
        return file.shapes


def load(replica: Replica, manifest: Manifest) -> dict[str, Tensor]:
    """Return one replica's weights.

    Raises:
        CheckpointError: the checkpoint is gone, damaged, or of another model.
    """
    shapes = shapes_of(manifest, replica)
    with _Weights(replica, shapes) as file:
        return {name: file.read(name) for name in shapes}


def _share(square: float, length: float) -> float:
    """Return the root of a quotient of squares; two zeros are no distance."""
    return math.sqrt(square / length) if length else math.copysign(math.inf, square) if square else 0.0


class _Weights:
    """A checkpoint's weights, read from the disk one tensor at a time. Open, it outlives its own removal."""

    def __init__(self, replica: Replica, expected: dict[str, tuple[int, ...]] | None) -> None:
        self.path = replica.path
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._expected = expected
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._file = self._stack.enter_context(safe_open(self.path / WEIGHTS, framework="pt"))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"the checkpoint {self.path} cannot be read: {error}",
                "Try again: its daemon may have replaced it.",
            ) from error
        names = self._file.keys()
        self.shapes = {name: tuple(self._file.get_slice(name).get_shape()) for name in names}
        if self._expected not in (None, self.shapes):
            raise self.of_another_model()
        return self

    def of_another_model(self) -> CheckpointError:
        return CheckpointError(f"the checkpoint {self.path} is of another model", "Choose one of this run.")

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, name: str) -> Tensor:
        tensor: Tensor = self._file.get_tensor(name)
        return tensor
