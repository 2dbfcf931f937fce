"""Finds a data set of Hugging Face's `datasets`: in a folder or file of this host, or on the Hub at a commit.

Only files of the data set itself are ever read, whatever its own description names, and only kinds of file
that hold nothing but data. No code of a data set is ever run: `datasets` has no way to do so any more, and no
file of another kind gets past `KINDS`.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peer.errors import DataError
from peer.extras import load
from peer.trainer import sources
from peer.trainer.hf.failures import looking_for
from peer.trainer.hf.find import told
from peer.trainer.hf.rows import ParquetRows, StreamedRows, TextRows
from peer.trainer.streams.patience import UnreachableError
from peer.trainer.streams.rows import Rows
from protocol.streamed import HUB_NAME, Dataset, Streamed

WHAT = "streaming a data set"
PARQUET, TEXT = "parquet", "text"
KINDS = {
    PARQUET: (".parquet",),
    "json": (".json", ".jsonl", ".ndjson"),
    "csv": (".csv", ".tsv"),
    "arrow": (".arrow",),
    TEXT: (".txt",),
}
"""What `datasets` calls them, and how their files' names end."""

PACKED = (".gz", ".zst", ".bz2", ".xz")
"""How a packed file of JSON or CSV may end."""

PACKABLE = ("json", "csv")

_OWN_WAITS = (
    "STREAMING_READ_RETRY_INTERVAL",
    "STREAMING_READ_SERVER_UNAVAILABLE_RETRY_INTERVAL",
    "STREAMING_READ_RATE_LIMIT_RETRY_INTERVAL",
)


@dataclass(frozen=True, slots=True)
class Found:
    """A data set that is there.

    Attributes:
        name: on the Hub, or the folder's, for the manifest.
        revision: its commit on the Hub; None where it is on this host.
        kind: of its files.
        root: where all its files lie.
        files: of each split, in order.
        builder: of `datasets`.
    """

    name: str
    revision: str | None
    kind: str
    root: str
    files: dict[str, tuple[str, ...]]
    builder: Any

    def hash(self, splits: Sequence[str]) -> bytes:
        """Return the SHA-256 of the splits' files: of their names, and without a commit of what is in them.

        Raises:
            DataError: there is no such split, or a file cannot be read.
        """
        named = [[(self._name(file), self._hash(file)) for file in self._split(split)] for split in splits]
        return hashlib.sha256(json.dumps([self.kind, named]).encode()).digest()

    def rows(self, split: str, column: str) -> Rows:
        """Return the rows of a split, once its first file has been looked at.

        Raises:
            DataError: there is no such split or column, or the first file is damaged.
            UnreachableError: it cannot be read now.
        """
        files = self._split(split)
        with looking_for(self.name):
            if self.kind == PARQUET:
                return ParquetRows(files, column)
            if self.kind == TEXT:
                return TextRows(files)
            return StreamedRows(self.builder.as_streaming_dataset(split=split), column)

    def _split(self, split: str) -> tuple[str, ...]:
        if split not in self.files:
            raise DataError(
                f"the data set {self.name} has no split {split!r}: it has {', '.join(self.files)}",
                "Set data.split to one of these.",
            )
        return self.files[split]

    def _name(self, file: str) -> str:
        return file[len(self.root) :].lstrip("/")

    def _hash(self, file: str) -> str | None:
        return None if self.revision else sources.file_hash(Path(file)).hex()


def find(place: str, revision: str | None, subset: str | None) -> Found:
    """Return the data set at `place`: an absolute path of a folder or file, or else a name on the Hub.

    Raises:
        DataError: it is not there, not for us, or not of a kind that can be used.
        ExtraMissingError: `datasets` is not installed.
        UnreachableError: the Hub does not answer.
    """
    path = Path(place)
    if not path.is_absolute():
        return _on_hub(place, revision, subset)
    if not path.exists():
        raise DataError(f"there is no data set at {place}", "Name its folder or file.")
    root = os.path.normpath(place)
    folder, files = (root, None) if path.is_dir() else (str(Path(root).parent), [path.name])
    return _checked(told(path.name), None, root, _builder(folder, place, subset, None, files))


def _on_hub(name: str, revision: str | None, subset: str | None) -> Found:
    if not HUB_NAME.match(name):
        raise DataError(
            f"there is no data set {name!r}", "Name a folder or file, or a name on the Hub, such as org/name."
        )
    load("datasets", "hf", WHAT)  # the other one is often here without it: `tokenizers` brings it
    hub = load("huggingface_hub", "hf", WHAT)
    with looking_for(name):
        commit = str(hub.HfApi().dataset_info(name, revision=revision).sha)
    # So written, it is never a folder of this host, whatever a stranger's manifest calls its data.
    builder = _builder(f"hf://datasets/{name}", name, subset, commit, None)
    return _checked(name, commit, f"hf://datasets/{name}@{commit}", builder)


def find_for(wanted: Dataset, place: str | None) -> Found:
    """Return the data set that a manifest names: from the Hub, or where it has no commit there from `place`.

    Raises:
        DataError: it is not there, or another one is.
        ExtraMissingError: as `find`.
        UnreachableError: as `find`.
    """
    if wanted.revision is not None:
        found = _on_hub(wanted.name, wanted.revision, wanted.subset)
    elif place is not None:
        found = find(str(Path(place).absolute()), None, wanted.subset)
    else:
        raise DataError(
            f"the run trains on the data set {wanted.name}, which its founder has in a folder",
            "Get a copy of it, and name your folder with --data.",
        )
    ours = found.hash(splits_of(wanted))
    if ours != wanted.files:
        raise DataError(
            f"the data set {found.root} is not this run's: its files have the hash {ours.hex()[:16]}, the "
            f"run's manifest names {wanted.files.hex()[:16]}",
            "Take the same files as the run's founder, and its release of `datasets`.",
        )
    return found


def splits_of(dataset: Dataset | Streamed) -> tuple[str, ...]:
    """Return the splits that are read."""
    return (dataset.split, *([dataset.held_out_split] if dataset.held_out_split else []))


def _builder(path: str, name: str, subset: str | None, commit: str | None, files: list[str] | None) -> Any:  # noqa: ANN401
    """Return what `datasets` makes of it; nothing of the files has been read yet."""
    library = load("datasets", "hf", WHAT)
    library.disable_progress_bars()
    library.logging.set_verbosity_error()
    for each in _OWN_WAITS:
        # We wait ourselves, and say so.
        setattr(library.config, each, 0)
    library.config.STREAMING_READ_MAX_RETRIES = 1
    # It writes locks even where it only streams. The user's own cache may be closed to us.
    with looking_for(name), tempfile.TemporaryDirectory(prefix="murmuration-") as cache:
        return library.load_dataset_builder(path, subset, data_files=files, revision=commit, cache_dir=cache)


def _checked(name: str, commit: str | None, root: str, builder: Any) -> Found:  # noqa: ANN401
    """Hold the files to be within the data set, and to be of one kind that we read."""
    kind = type(builder).__module__.rpartition(".")[2]
    if kind == "cache":  # a copy of some other commit, which stands in where nobody answers
        raise UnreachableError(f"the data set {name} cannot be reached", "Check the network, and try again.")
    known = ", ".join(end for ends in KINDS.values() for end in ends)
    if kind not in KINDS:
        raise DataError(
            f"the data set {name} is of the kind {kind!r}: its files may be {known}", "Convert it."
        )
    files = {str(split): tuple(map(str, named)) for split, named in builder.config.data_files.items()}
    for file in (file for named in files.values() for file in named):
        if file != root and not (file.startswith(f"{root}/") and ".." not in file.split("/")):
            raise DataError(
                f"the data set {name} names {file}, which is none of its files", "Take another one."
            )
        if not _may_be_read(kind, file):
            raise DataError(
                f"the data set {name} has {Path(file).name}: its files may be {known}", "Convert it."
            )
    return Found(name, commit, kind, root, files, builder)


def _may_be_read(kind: str, file: str) -> bool:
    if kind in PACKABLE:
        file = next((file.removesuffix(end) for end in PACKED if file.endswith(end)), file)
    return file.lower().endswith(KINDS[kind]) and "::" not in file
