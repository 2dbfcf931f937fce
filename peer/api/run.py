"""A run as a program describes it: with the keys of `run.toml`, held to the same checks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self, TypedDict, Unpack

from peer.config.describe import toml
from peer.config.run_file import NAME, read_run_file, read_table
from peer.config.schema import LOCAL
from peer.paths import existing, folder_or_name

Section = Mapping[str, object]
"""The keys of one section of `run.toml`, such as `{"batch": 16}` for `[inner]`."""


class Keys(TypedDict, total=False):
    """The keys of `run.toml`: those before its first section, and its sections."""

    name: str
    seed: int
    codecs: Sequence[str]
    modulo_bits: int
    model: Section
    tokenizer: Section
    data: str | Section | Sequence[Section]
    inner: Section
    outer: Section
    onebyte: Section
    task: Section


class Run:
    """A run to found: what every peer of it trains, and how.

    It has the keys of `run.toml`, each with the same default, and what is wrong with them is told at once:

        Run(name="mine", data="python", inner={"batch": 16}, outer={"preset": "noloco"})

    Paths among them are relative to the working directory.

    Attributes:
        name: for people.
        toml: the run as the text of a `run.toml`.
        path: the file that it stands in; None where a program has made it.

    Raises:
        RunFileError: a key is unknown, or a value impossible; the message has a line for each.
    """

    def __init__(self, **keys: Unpack[Keys]) -> None:
        here = Path.cwd()
        table = _plain(keys, here)
        self.path: Path | None = None
        self.name = read_table(table, here).draft.name
        self.toml = "".join(f"{name} = {toml(value)}\n" for name, value in table.items())

    @classmethod
    def from_dict(cls, table: Mapping[str, object]) -> Self:
        """Return the run of a table, such as `tomllib` makes of a `run.toml`.

        Raises:
            RunFileError: as the class itself.
        """
        return cls(**table)  # type: ignore[arg-type]

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Self:
        """Return the run of a `run.toml`, in which paths are relative to its folder.

        Raises:
            RunFileError: it cannot be read, or has mistakes; the message names their lines.
        """
        made = cls.__new__(cls)
        file = read_run_file(Path(path).absolute())
        made.path, made.name = file.path, file.draft.name
        made.toml = file.path.read_text(encoding="utf-8")
        return made

    def __repr__(self) -> str:
        return f"<Run {self.name!r}>"

    @contextmanager
    def written(self) -> Iterator[Path]:
        """Lend the run as a file, for as long as this lasts."""
        if self.path is not None:
            yield self.path
            return
        with TemporaryDirectory(prefix="murmuration-run-") as folder:
            file = Path(folder, NAME)
            file.write_text(self.toml, encoding="utf-8")
            yield file


def _plain(keys: Mapping[str, object], here: Path) -> dict[str, object]:
    """Return what TOML can hold, without what is None, and with paths that mean the same anywhere."""
    table = {name: _value(value) for name, value in keys.items() if value is not None}
    for section, _ in LOCAL:
        for part in _parts(table.get(section)):
            _locate(part, here)
    model = table.get("model")
    if isinstance(model, dict) and isinstance(source := model.get("source"), str):
        model["source"] = folder_or_name(source, here)
    return table


def _parts(section: object) -> Iterator[dict[str, object]]:
    """Yield a section, or what a list of several holds, each with the parts of its mixture."""
    for part in section if isinstance(section, list) else [section]:
        if isinstance(part, dict):
            yield part
            yield from _parts(part.get("mixture"))


def _locate(part: dict[str, object], here: Path) -> None:
    """Say where the files of a section are. Of a task's settings none is a path, whatever it is called."""
    if isinstance(path := part.get("path"), str):
        part["path"] = str(here / path)
    if isinstance(dataset := part.get("dataset"), str):
        part["dataset"] = str(existing(dataset, here) or dataset)


def _value(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _value(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_value(item) for item in value]
    return fspath(value) if isinstance(value, PathLike) else value
