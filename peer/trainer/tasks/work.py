"""A plug-in's task as a peer's work: its mistakes become one line that says where in its code they are."""

import logging
import math
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from peer.errors import PeerError, TaskError
from peer.trainer.device import upload
from peer.trainer.evaluate import BATCH, evenly
from peer.trainer.feed import Batch, Feed
from peer.trainer.flat import trainable
from peer.trainer.layout import layout_of
from peer.trainer.order import Order, Position
from peer.trainer.room import is_out_of_memory
from peer.trainer.tasks.find import Plugin, find_for
from peer.trainer.tasks.task import Examples, Task
from peer.trainer.work import Work
from protocol import foreign
from protocol.foreign import Settings
from protocol.layout import Layout
from protocol.manifest import Manifest

FIRST_LOOK = 8
"""Held-out examples on which the first weights are tried."""

MEND = "Mend the plug-in, or the settings that it is given"

OTHERS = (__file__, str(Path(torch.__file__).parent), "<frozen ")
"""How the names of files begin in which a plug-in's mistake comes up, and is not."""

_log = logging.getLogger(__name__)


class Judged(nn.Module):
    """A task's model as a module that gives the mean loss of a batch, as the built-in one does.

    Attributes:
        name: of the task.
        inner: the model itself.
    """

    def __init__(self, name: str, task: Task, inner: nn.Module) -> None:
        super().__init__()
        self.name = name
        self.task = task
        self.inner = inner

    def forward(self, batch: Batch) -> Tensor:
        """Return the loss as an fp32 scalar.

        Raises:
            TaskError: the plug-in fails. It would do so again, so trying again is no use.
        """
        try:  # costs nothing where nothing fails, unlike a context manager
            return self.task.loss(self.inner, batch).float()
        except Exception as error:
            if _is_mistake(error):
                raise _told(self.name, "loss()", error) from error
            raise


class Numbered(Feed):
    """One peer's part of the training examples, in the order in which a text's windows would be read."""

    def __init__(self, manifest: Manifest, examples: Examples, name: str, shard: int) -> None:
        self._examples = examples
        self._name = name
        self._order = Order(len(examples), manifest.data.shards, shard, manifest.seed)

    def take(self, position: Position, count: int) -> tuple[Batch, Position]:
        """See `Feed`.

        Raises:
            TaskError: the plug-in fails to give one of them. It would do so again, so trying again is no use.
        """
        numbers, after = self._order.take(position, count)
        with _calling(self._name, "an example of training()"):
            return collate(self._examples, numbers), after

    def state(self) -> bytes:
        """See `Feed`: any example is found by its number."""
        return b""

    def resume(self, state: bytes) -> None:
        """See `Feed`."""


def load(manifest: Manifest, wanted: foreign.Task, allowed: str | None, shard: int) -> Work:
    """Return the work on the task that a manifest names.

    Raises:
        TaskError: it is not allowed or not here, differs, or fails.
    """
    return work_of(load_net(manifest, wanted, allowed), wanted.name, manifest, shard)


def load_net(manifest: Manifest, wanted: foreign.Task, allowed: str | None) -> Judged:
    """Return the model alone, as `load` has it.

    Raises:
        TaskError: as `load`.
    """
    net = build(find_for(wanted, allowed), wanted.settings, manifest.seed)
    if (layout := layout_of(net)) != wanted.layout:
        raise TaskError(
            f"the task {wanted.name} has {layout.parameters} trainable parameters here, "
            f"{wanted.layout.parameters} in the manifest",
            "Install the same releases as the run's founder, of the plug-in and of what it builds on",
        )
    return net


def work_of(net: Judged, name: str, manifest: Manifest, shard: int) -> Work:
    """Return the work on a task whose model is built.

    Raises:
        TaskError: its examples are too few, or its loss cannot be had.
    """
    with _calling(name, "training() and held_out()"):
        training, held_out = net.task.training(), net.task.held_out()
        sizes = len(training), len(held_out)
    least = manifest.data.shards, 1
    for what, size, need in zip(("training", "held-out"), sizes, least, strict=True):
        if size < need:
            raise TaskError(
                f"the task {name} has {size} {what} examples, and needs at least {need}",
                "Give it more, or take fewer data.shards",
            )

    def test(net: nn.Module, count: int) -> float:
        return _mean(net, held_out, count, lambda batch: {"loss": net(batch)})["loss"]

    def measure(count: int) -> dict[str, float]:
        with _calling(name, "measures()"):
            return _mean(net, held_out, count, lambda batch: net.task.measures(net.inner, batch))

    with _calling(name, "loss()"):
        first = test(net, FIRST_LOOK)
    # A loss may be in any unit, and below zero: what is twice as bad as the first weights knows nothing.
    chance = first + abs(first)
    return Work(
        net, Numbered(manifest, training, name, shard), test, tokens=1, chance=chance, measure=measure
    )


def build(plugin: Plugin, settings: Settings, seed: int) -> Judged:
    """Return the task's model as the seed gives it.

    Raises:
        TaskError: the plug-in cannot be imported, takes other settings, or makes no model to train.
    """
    name = plugin.entry.name
    with _calling(name, f"the import of {plugin.entry.value}"):
        make = plugin.load()
    if not callable(make):
        raise TaskError(f"the task {name} is no class or function: {plugin.entry.value}", MEND)
    with _calling(name, f"its making with the settings {settings}"):
        task = make(**settings)
    if not isinstance(task, Task):
        raise TaskError(f"the task {name} is a {type(task).__name__}, and no peer.Task", MEND)
    with _calling(name, "model()"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inner = task.model()
        if not isinstance(inner, nn.Module):
            raise TaskError(f"the task {name} makes a model that is no torch.nn.Module", MEND)
        net = Judged(name, task, inner)
        if not trainable(net):
            raise TaskError(f"the model of the task {name} has no parameters to train", MEND)
    for where, _ in net.inner.named_buffers():
        if where.endswith("running_mean"):
            raise TaskError(
                f"the model of the task {name} keeps running statistics in {where}, outside its parameters: "
                "they would be neither shared nor kept",
                "Use another normalisation, such as GroupNorm or LayerNorm, or track_running_stats=False",
            )
    return net


def rehearse(plugin: Plugin, manifest: Manifest, settings: Settings) -> Layout:
    """Try everything that the plug-in does once, for who founds a run; return its model's layout.

    Raises:
        TaskError: something fails.
    """
    net, name = build(plugin, settings, manifest.seed), plugin.entry.name
    work = work_of(net, name, manifest, shard=0)
    work.measure(FIRST_LOOK)
    batch, _ = work.feed.take(Position(), min(2, manifest.inner.batch))
    with _calling(name, "loss()"):
        loss: Tensor = net(batch)
        torch.autograd.backward(loss)
    for found, what in ((float(loss.detach()), "training"), (work.held_out_loss(1), "held-out")):
        if not math.isfinite(found):
            raise TaskError(f"the task {name} has a loss of {found} on a {what} example at its start", MEND)
    return layout_of(net)


def collate(examples: Examples, numbers: list[int]) -> Batch:
    """Return the numbered examples side by side."""
    batch = default_collate([examples[number] for number in numbers])
    if isinstance(batch, dict):
        return {str(name): _single(part) for name, part in batch.items()}
    # torch makes a list of what were tuples.
    return tuple(map(_single, batch)) if isinstance(batch, list | tuple) else _single(batch)


def _single(part: object) -> Tensor:
    """Return a part of a batch, in single precision where it has floats: of Python's, torch makes doubles."""
    if not isinstance(part, Tensor):
        raise TypeError("an example must be a tensor or a number, or a tuple or dict of these")
    return part.float() if part.dtype == torch.float64 else part


@torch.no_grad()
def _mean(
    net: nn.Module, examples: Examples, count: int, tell: Callable[[Batch], Mapping[str, Tensor | float]]
) -> dict[str, float]:
    """Return the means of what is told of each batch, in evaluation mode, over evenly spaced examples."""
    chosen = evenly(len(examples), count)
    device = next(net.parameters()).device
    totals: dict[str, float] = {}
    # A part of the model may never be in training mode.
    training = [part for part in net.modules() if part.training]
    net.eval()
    try:
        for start in range(0, len(chosen), BATCH):
            part = chosen[start : start + BATCH]
            for name, value in tell(upload(collate(examples, part), device)).items():
                totals[name] = totals.get(name, 0.0) + float(value) * len(part)
    finally:
        for module in training:
            module.training = True
    return {name: total / len(chosen) for name, total in totals.items()}


@contextmanager
def _calling(name: str, what: str) -> Iterator[None]:
    """Say in one line what a plug-in's own code does wrong, and where; the trainer logs the traceback."""
    try:
        yield
    except Exception as error:
        if _is_mistake(error):
            raise _told(name, what, error) from error
        raise


def _is_mistake(error: Exception) -> bool:
    """Whether an error is the plug-in's: not one that is told already, of memory, or of the device."""
    if isinstance(error, PeerError | MemoryError | torch.AcceleratorError):
        return False
    return not (isinstance(error, RuntimeError) and is_out_of_memory(error))


def _told(name: str, what: str, error: Exception) -> TaskError:
    _log.info("the task %s fails in %s", name, what, exc_info=True)
    said = str(error).strip().splitlines()
    return TaskError(
        f"the task {name} fails in {what}: {type(error).__name__}: {said[0] if said else 'no reason'}"
        + _place(error),
        MEND,
    )


def _place(error: Exception) -> str:
    """Say where in the plug-in's own code an error came up, if it was there."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(OTHERS)]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
