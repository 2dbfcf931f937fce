"""The training text that a run file asks for: one source, or the parts of a mixture."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from peer.config.schema import KEYS, STREAM_KEYS
from peer.paths import existing
from protocol.manifest import Data, Part, TextSource
from protocol.streamed import Dataset, Streamed


@dataclass(frozen=True, slots=True)
class Source:
    """One source of training text.

    Attributes:
        kind: what it is, such as `text`.
        weight: in a mixture.
        path: the text or token file; None where there is none.
        streamed: the data set, where the kind is `hf`.
    """

    kind: TextSource
    weight: float = 1.0
    path: Path | None = None
    streamed: Streamed | None = None

    @property
    def place(self) -> str | None:
        """Where this host has it; None where everybody gets it from the same place."""
        if self.streamed is not None:
            return self.streamed.place if self.streamed.is_here else None
        return None if self.path is None else str(self.path)

    def part(self, sha256: bytes | None = None, dataset: Dataset | None = None) -> Part:
        """Return it as it stands in a manifest."""
        return Part(source=self.kind, sha256=sha256, dataset=dataset or UNSET, weight=self.weight)

    def like(self, found: Part) -> Part:
        """Return what a manifest would hold, with that which only a look at the data finds as in `found`."""
        if found.source != self.kind:
            return self.part()
        if self.streamed is None or not found.dataset:
            return self.part(found.sha256)
        return self.part(dataset=self.streamed.like(found.dataset))


def read_sources(values: Mapping[tuple[str, ...], object], folder: Path) -> tuple[Source, ...]:
    """Return the sources of a run file in `folder` that holds no mistake."""
    mixture: Any = values.get(("data", "mixture"))
    if mixture is None:
        mixture = [{path[1]: value for path, value in values.items() if path[0] == "data" and len(path) > 1}]
    return tuple(_read(entry, folder) for entry in mixture)


def data_of(draft: Data, parts: tuple[Part, ...]) -> Data:
    """Return a manifest's data, made of its parts."""
    if draft.source == "mixture":
        return msgspec.structs.replace(draft, mixture=parts)
    (part,) = parts
    return msgspec.structs.replace(draft, sha256=part.sha256, dataset=part.dataset)


def _read(entry: Mapping[str, Any], folder: Path) -> Source:
    path, streamed = entry.get("path"), None
    if "dataset" in entry:
        given = {
            name: entry.get(name, KEYS["data", name].default) for name in STREAM_KEYS if name != "dataset"
        }
        streamed = Streamed(_place(entry["dataset"], folder), **given)
    return Source(
        entry.get("source", KEYS["data", "source"].default),
        float(entry.get("weight", 1.0)),
        None if path is None else folder / path,
        streamed,
    )


def _place(named: str, folder: Path) -> str:
    path = existing(named, folder)
    return named if path is None else os.path.normpath(path.absolute())
