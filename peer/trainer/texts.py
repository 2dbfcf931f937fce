"""What a run on text trains on and is tested on: one source, or a mixture; held in memory, or streamed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import Tensor, nn

from peer.errors import DataError
from peer.trainer import data, tokenizer
from peer.trainer.evaluate import held_out_loss
from peer.trainer.feed import TokenFeed, Windows
from peer.trainer.mixture import Draw, Mixture
from peer.trainer.streams.patience import Tell
from peer.trainer.streams.source import open_stream
from protocol.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Source:
    """One source.

    Attributes:
        feed: a peer's part of it.
        held_out: 1-D tokens that nobody trains on.
        weight: of the mixture.
    """

    feed: TokenFeed
    held_out: Tensor
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Texts:
    """What one peer trains on, and what all are tested on."""

    feed: TokenFeed
    test: Callable[[nn.Module, int], float]


def load(
    manifest: Manifest,
    places: Sequence[str],
    tokenizer_path: Path | None,
    shard: int,
    tell: Tell | None = None,
) -> Texts:
    """Return what the peer with this shard reads.

    Args:
        manifest: names each source by content.
        places: of the sources that each peer brings, in their order.
        tokenizer_path: the tokenizer file; None for bytes.
        shard: of the data.
        tell: told why nothing comes, where a data set cannot be reached; this then waits until it can. None
            not to wait.

    Raises:
        DataError: something is missing, unreadable, too short, or not what the manifest names.
        ExtraMissingError: a data set is to be streamed, and `datasets` is not installed.
    """
    needed = manifest.data.places
    if len(places) > needed:
        raise DataError(
            f"{len(places)} places of data are given, and the run reads {needed}: the last is {places[-1]}",
            "Name with --data what each peer brings, in the run's order, and nothing else.",
        )
    encoder = cache(lambda: tokenizer.load(manifest.tokenizer, tokenizer_path))
    brought = iter(places)
    sources: list[Source] = []
    for part in manifest.data.parts:
        place = next(brought, None) if part.needs_place else None
        if part.dataset:
            feed, held_out = open_stream(manifest, part.dataset, place, encoder(), shard, tell)
            sources.append(Source(feed, held_out, part.weight))
        else:
            path = None if place is None else Path(place)
            corpus = data.load_part(manifest, part, path, encoder)
            sources.append(_in_memory(manifest, corpus, shard, part.weight))
    return _mixed(manifest, sources, shard)


def of_corpus(manifest: Manifest, corpus: data.Corpus, shard: int) -> Texts:
    """Return what the peer with this shard reads of a corpus in memory."""
    return _mixed(manifest, [_in_memory(manifest, corpus, shard)], shard)


def _in_memory(manifest: Manifest, corpus: data.Corpus, shard: int, weight: float = 1.0) -> Source:
    return Source(Windows(manifest, corpus.training, shard), corpus.held_out, weight)


def _mixed(manifest: Manifest, sources: Sequence[Source], shard: int) -> Texts:
    """Return one source as it is, or several mixed by their weights."""
    feed = sources[0].feed
    if len(sources) > 1:
        draw = Draw([source.weight for source in sources], manifest.seed, shard)
        feed = Mixture([source.feed for source in sources], draw)
    total, context = sum(source.weight for source in sources), manifest.model.context

    def test(net: nn.Module, windows: int) -> float:
        loss = 0.0
        for source in sources:
            share = source.weight / total
            loss += share * held_out_loss(net, source.held_out, context, max(1, round(share * windows)))
        return loss

    return Texts(feed, test)
