"""A data set as a source of windows for one peer, with what all are tested on."""

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

from peer.errors import DataError
from peer.trainer.streams.feed import Stream
from peer.trainer.streams.held_out import gather
from peer.trainer.streams.patience import Patience, Tell, at_once
from peer.trainer.streams.rows import Deal, HoldOut
from peer.trainer.streams.windows import Shape, Windows
from peer.trainer.tokenizer import Tokenizer
from protocol.manifest import Manifest
from protocol.streamed import Dataset

T = TypeVar("T")

HELD_OUT = 64
"""Windows that are tested on, at the most: who starts has to read the rows between those held out, too."""


def open_stream(
    manifest: Manifest, dataset: Dataset, place: str | None, encoder: Tokenizer, shard: int, tell: Tell | None
) -> tuple[Stream, Tensor]:
    """Return the peer's part of a data set, of which nothing is read yet, and the held-out tokens, 1-D.

    Args:
        manifest: the run.
        dataset: one that it names.
        place: where this host has it; None for the Hub.
        encoder: the run's tokenizer.
        shard: of the data.
        tell: told why nothing comes, where the data set cannot be reached; this then waits until it can. None
            not to wait.

    Raises:
        DataError: it is not there, or another one is, or it has nothing to test on.
        ExtraMissingError: `datasets` is not installed.
        UnreachableError: it cannot be reached, where this does not wait.
    """
    from peer.trainer.hf.dataset import find_for

    patience = Patience(tell) if tell else at_once
    found = patience(lambda: find_for(dataset, place))
    rows = patience(lambda: found.rows(dataset.split, dataset.column))
    share = 0.0 if dataset.held_out_split else manifest.data.held_out
    hold_out = HoldOut(share, manifest.seed)

    def encode(texts: list[str]) -> list[Tensor]:
        return encoder.encode([text.encode() for text in texts])

    def held_out() -> Tensor:
        tested, which = rows, hold_out if share else None
        if dataset.held_out_split:
            tested = found.rows(dataset.held_out_split, dataset.column)
        least, most = manifest.model.context + 1, HELD_OUT * manifest.model.context + 1
        return _whole(lambda: gather(tested, which, encode, dataset.end, least=least, most=most), found.name)

    tokens = patience(held_out)
    deal = Deal(rows, manifest.data.shards, shard, manifest.seed, hold_out)
    shape = Shape(manifest.model.context, dataset.end, dataset.shuffle, manifest.seed)
    return Stream(Windows(deal, encode, shape), shape.size), tokens


def _whole(job: Callable[[], T], name: str) -> T:
    try:
        return job()
    except OSError:
        raise
    except ValueError as error:
        raise DataError(f"the data set {name} is damaged: {error}", "Take a copy that is whole.") from error
