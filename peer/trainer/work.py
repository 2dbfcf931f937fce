"""What the peers of a run work on: a model that gives a loss, data to train it on, and the test of it.

The built-in model, one of `transformers` and the task of a plug-in are all of one kind here.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from peer.errors import BaseModelError
from peer.trainer import data, texts
from peer.trainer.evaluate import WINDOWS, Losses, compare
from peer.trainer.feed import Feed
from peer.trainer.first_weights import load_first_weights
from peer.trainer.flat import trainable
from peer.trainer.layout import layout_of
from peer.trainer.model import build
from peer.trainer.streams.patience import Tell
from protocol.foreign import Pretrained
from protocol.manifest import Manifest
from protocol.trainer import Begin

PLACE = "data"
"""Name of the place in the data, in a checkpoint's state."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where this host keeps what a manifest names by its hash; None where it has not said.

    Attributes:
        data: text, folder, token file or data set of each source that every peer brings, in their order.
        tokenizer: the tokenizer file.
        model: the base model: a folder, or a name on the Hub.
        allowed_task: the task whose code the host's owner lets run.
    """

    data: tuple[str, ...] = ()
    tokenizer: Path | None = None
    model: str | None = None
    allowed_task: str | None = None

    @classmethod
    def of(cls, begin: Begin) -> "Places":
        """Return what the daemon was told."""
        tokenizer = path_of(begin.tokenizer_path)
        return cls(begin.data_paths, tokenizer, begin.model_path, begin.allowed_task)


def nothing_else(examples: int) -> dict[str, float]:
    """Measure nothing beside the loss."""
    del examples
    return {}


@dataclass(frozen=True, slots=True)
class Work:
    """One peer's work.

    Attributes:
        net: gives the mean loss of a batch, an fp32 scalar; its first weights are those of the run.
        feed: the peer's own part of the data.
        test: the loss of a net on what nobody trains on, over at most so many examples, the same for all.
        tokens: that one example counts for.
        chance: the loss of knowing nothing.
        measure: what else an evaluation of `net` tells, over at most so many examples.
    """

    net: nn.Module
    feed: Feed
    test: Callable[[nn.Module, int], float]
    tokens: int
    chance: float
    measure: Callable[[int], dict[str, float]] = nothing_else

    def place(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps of the place in the data, beside the position."""
        kept = self.feed.state()
        return {PLACE: torch.frombuffer(bytearray(kept), dtype=torch.uint8)} if kept else {}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Go on at the place of a checkpoint."""
        if PLACE in state:
            self.feed.resume(bytes(state[PLACE].numpy()))

    def held_out_loss(self, examples: int = WINDOWS) -> float:
        """Return the loss of `net` as it is now."""
        return self.test(self.net, examples)


def load(
    manifest: Manifest,
    places: Places,
    shard: int,
    frozen: torch.dtype = torch.float32,
    tell: Tell | None = None,
) -> Work:
    """Return the work of the peer with this shard, on the CPU.

    Args:
        manifest: the run.
        places: of its files on this host.
        shard: of the data.
        frozen: in which the weights are held that are not trained.
        tell: told why this waits, where data cannot be reached; None not to wait.

    Raises:
        PeerError: something is missing here, or differs from what the manifest names.
    """
    if manifest.task:
        from peer.trainer.tasks import work

        return work.load(manifest, manifest.task, places.allowed_task, shard)
    if manifest.model.pretrained:
        net, tokenizer = _pretrained(manifest.model.pretrained, places, manifest.seed, frozen)
    else:
        net, tokenizer = _built_in(manifest), places.tokenizer
    return _on(manifest, net, texts.load(manifest, places.data, tokenizer, shard, tell))


def load_net(manifest: Manifest, places: Places, frozen: torch.dtype = torch.float32) -> nn.Module:
    """Return the model alone, on the CPU, as `load` has it.

    Raises:
        PeerError: it is missing here, or differs from what the manifest names.
    """
    if manifest.task:
        from peer.trainer.tasks import work

        return work.load_net(manifest, manifest.task, places.allowed_task)
    if manifest.model.pretrained:
        return _pretrained(manifest.model.pretrained, places, manifest.seed, frozen)[0]
    return _built_in(manifest)


def plain(manifest: Manifest, corpus: data.Corpus, shard: int) -> Work:
    """Return the work on the built-in model, as the seed gives it, and a corpus."""
    return on_tokens(manifest, _built_in(manifest), corpus, shard)


def on_tokens(manifest: Manifest, net: nn.Module, corpus: data.Corpus, shard: int) -> Work:
    """Return the work on any model of tokens, and a corpus."""
    return _on(manifest, net, texts.of_corpus(manifest, corpus, shard))


def _built_in(manifest: Manifest) -> nn.Module:
    return build(manifest.model, manifest.tokenizer.vocabulary, manifest.seed)


def _on(manifest: Manifest, net: nn.Module, read: texts.Texts) -> Work:
    return Work(net, read.feed, read.test, manifest.model.context, math.log(manifest.tokenizer.vocabulary))


def _pretrained(
    wanted: Pretrained, places: Places, seed: int, frozen: torch.dtype
) -> tuple[nn.Module, Path | None]:
    """Return the base model, and the tokenizer that goes with it."""
    from peer.trainer.hf import find, net

    base = find.find_for(wanted, places.model)
    made = net.build(base, wanted.lora, seed, frozen)
    if layout_of(made) != wanted.layout:
        count = sum(each.numel() for each in trainable(made).values())
        raise BaseModelError(
            f"the model has {count} trainable parameters here, {wanted.layout.parameters} in the manifest",
            "Update transformers and peft to the founder's releases",
        )
    return made, places.tokenizer or base.tokenizer


@torch.no_grad()
def evaluate(
    checkpoints: Sequence[Path], manifest: Manifest, places: Places, first_weights: Path | None
) -> Losses:
    """Evaluate any run's first weights, each checkpoint's, and the mean of the checkpoints', on the CPU.

    Raises:
        PeerError: as `load`, or a checkpoint is damaged or of another model.
    """
    work = load(manifest, places, shard=0)
    load_first_weights(manifest.model, first_weights, work.net)
    return compare(checkpoints, work.net, work.held_out_loss)


def path_of(name: str | None) -> Path | None:
    """Return the path that a message names."""
    return None if name is None else Path(name)
