"""A data set of Hugging Face's `datasets`, as a manifest names it: all peers read the same rows of it.

Each peer brings the data itself, from its own disk or the Hugging Face Hub, never from another peer.
"""

import re
from pathlib import Path
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from protocol.codec import Message
from protocol.foreign import Digest, Source

Commit = Annotated[str, Meta(pattern=r"^[0-9a-f]{40}\Z")]
Subset = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+ -]{0,127}\Z")]
Split = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.]{0,63}\Z")]
Column = Annotated[str, Meta(min_length=1, max_length=64)]
Shuffle = Annotated[int, Meta(ge=1, le=65536)]

HUB_NAME = re.compile(r"^(?!buckets/)[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}\Z")
"""Both parts are needed: without an organisation, `datasets` would take `json` or `sql` for itself."""

MOST_SHUFFLED = 1 << 26
"""Tokens that a peer holds to shuffle them: 256 MiB, and as much again that it reads ahead."""


class Dataset(Message, frozen=True, kw_only=True):
    """Rows of text, read one after the other while training goes on."""

    name: Source
    """Its name on the Hub, or that of the founder's folder, for people."""
    revision: Commit | None = None
    """Its commit on the Hub; None where everybody has the files themselves."""
    subset: Subset | None = None
    """What `datasets` calls a configuration; None for the only one, or the default."""
    split: Split = "train"
    held_out_split: Split | None = None
    """Nobody trains on this one; None: a share of the rows of `split` is held out."""
    column: Column = "text"
    """That has the text."""
    files: Digest
    """Hash of the files' names in their order, and of what is in them where there is no commit."""
    end: Annotated[int, Meta(ge=0, lt=1 << 20)]
    """The token that follows the text of each row."""
    shuffle: Shuffle = 1024
    """Windows that are read before their order is drawn."""


class Streamed(Message, frozen=True):
    """One, as a run file asks for it."""

    place: str
    """A folder or file of this host, absolute, or a name on the Hub."""
    revision: str | None
    subset: str | None
    split: str
    held_out_split: str | None
    column: str
    end: str | None
    """The text of the token that follows each row; None for the tokenizer's own."""
    shuffle: int

    @property
    def is_here(self) -> bool:
        """Whether this host has it, not the Hub."""
        return Path(self.place).is_absolute()

    def like(self, found: Dataset) -> Dataset:
        """Return what a manifest would hold, with that which only a look at the data finds as in `found`."""
        return replace(
            found,
            name=found.name if self.is_here else self.place,
            subset=self.subset,
            split=self.split,
            held_out_split=self.held_out_split,
            column=self.column,
            shuffle=self.shuffle,
        )
