"""Read `run.toml`: a run's contract as its founder writes it, and where this host keeps the files.

Every mistake of a kind is reported at once, each with its line, the value, and what is allowed.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import UNSET

from peer.config.check import Mistake, Values, check_keys, check_model, check_task, check_tokenizer, must_be
from peer.config.check_sources import MIXTURE, check_sources
from peer.config.locate import Lines, line_of, locate
from peer.config.schema import ASKED, BY_PRESET, KEYS, LOCAL
from peer.config.sources import Source, data_of, read_sources
from peer.errors import RunFileError
from peer.paths import folder_or_name
from protocol.describe import Described
from protocol.foreign import Lora, Settings
from protocol.manifest import Manifest, Part
from protocol.presets import PRESETS
from protocol.rules import draft_violations

NO_FOUNDER = bytes(32)
"""Stands in a draft where the founder's key will."""

NAME = "run.toml"

_MEND_TABLE = "Correct the keys; `peer init` writes a run.toml in which every key is explained"
_REMEDY = "Correct the file and try again; `peer init` writes one in which every key is explained"


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A model of `transformers`, as the file asks for it.

    Attributes:
        source: a folder of this host, absolute, or a name on the Hub.
        revision: on the Hub.
        lora: the adapters; None where all weights are trained.
    """

    source: str
    revision: str | None
    lora: Lora | None


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """A plug-in's task, as the file asks for it."""

    name: str
    settings: Settings


@dataclass(frozen=True, slots=True)
class RunFile:
    """A `run.toml` that holds no mistake.

    Attributes:
        path: the file itself.
        draft: the manifest, but for its founder and the hashes of its files.
        sources: of the training text; several in a mixture.
        tokenizer_path: the tokenizer file; None for bytes.
        weights_path: the first weights; None where they come from the seed.
        base: the model in place of the built-in one.
        task: the task in place of model, tokenizer and data.
    """

    path: Path
    draft: Manifest
    sources: tuple[Source, ...]
    tokenizer_path: Path | None
    weights_path: Path | None
    base: BaseModel | None = None
    task: TaskChoice | None = None

    def manifest(
        self,
        founder: bytes,
        *,
        parts: tuple[Part, ...] | None = None,
        tokenizer_sha256: bytes | None = None,
        weights_sha256: bytes | None = None,
        described: Described | None = None,
    ) -> Manifest:
        """Return the whole manifest: the draft, its founder's public key, and what was found in its files.

        Args:
            founder: its key.
            parts: what each source is, in their order; None where nobody has looked.
            tokenizer_sha256: of the tokenizer file.
            weights_sha256: of the file of first weights.
            described: the model, where it is not the built-in one.
        """
        found = described or Described()
        tokenizer = msgspec.structs.replace(self.draft.tokenizer, sha256=tokenizer_sha256)
        return msgspec.structs.replace(
            self.draft,
            founder=founder,
            model=msgspec.structs.replace(
                self.draft.model, sha256=weights_sha256, pretrained=found.pretrained or UNSET
            ),
            data=data_of(self.draft.data, parts or tuple(source.part() for source in self.sources)),
            tokenizer=found.tokenizer if self.own_tokenizer and found.tokenizer else tokenizer,
            task=found.task or UNSET,
        )

    @property
    def data_paths(self) -> tuple[str, ...]:
        """Where this host has those sources that not everybody gets from the same place."""
        return tuple(place for source in self.sources if (place := source.place) is not None)

    @property
    def own_tokenizer(self) -> bool:
        """Whether the tokenizer is the base model's own."""
        return self.base is not None and self.draft.tokenizer.kind == "bytes"


def read_run_file(path: Path) -> RunFile:
    """Read and check the file at `path`.

    Raises:
        RunFileError: it cannot be read, or has mistakes; the message has a line for each.
    """
    text = _read(path)
    return _check(_parse(path, text), path, locate(text))


def read_table(table: dict[str, object], folder: Path) -> RunFile:
    """Check what a program says in place of a `run.toml` in `folder`, which does not exist.

    Raises:
        RunFileError: it has mistakes; the message has a line for each.
    """
    return _check(table, folder / NAME, None)


def _check(table: dict[str, object], path: Path, lines: Lines | None) -> RunFile:
    values, mistakes = check_keys(table)
    _refuse(path, lines, mistakes)
    found = (*check_sources(values), *check_tokenizer(values), *check_model(values), *check_task(values))
    _refuse(path, lines, found)
    draft, base, task = _draft(values), _base(path, values), _task(values)
    broken = draft_violations(draft, foreign=bool(base or task))
    _refuse(path, lines, (must_be(each.path, each.value, each.allowed) for each in broken))
    sources = read_sources(values, path.parent)
    tokenizer, weights = (_resolve(path, values.get((section, "path"))) for section in ("tokenizer", "model"))
    return RunFile(path, draft, sources, tokenizer, weights, base, task)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RunFileError(f"{path} does not exist", "`peer init` writes one") from error
    except UnicodeDecodeError as error:
        raise RunFileError(f"{path} is not UTF-8 text (byte {error.start})", _REMEDY) from error
    except OSError as error:
        raise RunFileError(f"{path} cannot be read: {error.strerror}", "Name a file that can be") from error


def _parse(path: Path, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        line = int(place[1]) if place and place[1] else max(1, len(text.splitlines()))
        reason = str(error)[: place.start()] if place else str(error)
        raise RunFileError(f"{path}:{line}: not TOML: {reason}", _REMEDY) from error


def _refuse(path: Path, lines: Lines | None, mistakes: Iterable[Mistake]) -> None:
    if lines is None:
        if said := [mistake.message for mistake in mistakes]:
            raise RunFileError("\n".join(said), _MEND_TABLE)
        return
    placed = sorted((line_of(lines, mistake.path), mistake.message) for mistake in mistakes)
    if placed:
        raise RunFileError("\n".join(f"{path}:{line}: {message}" for line, message in placed), _REMEDY)


def _draft(values: Values) -> Manifest:
    preset = PRESETS[str(_given(values, "outer", "preset"))]
    layers = int(str(_given(values, "model", "layers")))
    top: dict[str, object] = {"founder": NO_FOUNDER}
    sections: dict[str, dict[str, object]] = {
        "outer": {name: preset.value(name, layers) for _, name in BY_PRESET}
    }
    for path, value in values.items():
        if path in LOCAL or path in ASKED:
            continue
        fields = sections.setdefault(path[0], {}) if len(path) > 1 else top
        fields[path[-1]] = value
    if MIXTURE in values:
        sections.setdefault("data", {})["source"] = "mixture"
    return msgspec.convert(top | sections, Manifest)


def _base(run_file: Path, values: Values) -> BaseModel | None:
    if _given(values, "model", "kind") != "hf":
        return None
    source, revision, lora = (values.get(("model", name)) for name in ("source", "revision", "lora"))
    return BaseModel(
        folder_or_name(str(source), run_file.parent),
        None if revision is None else str(revision),
        lora if isinstance(lora, Lora) else None,
    )


def _task(values: Values) -> TaskChoice | None:
    name, settings = (values.get(("task", each)) for each in ("name", "settings"))
    return None if name is None else TaskChoice(str(name), settings if isinstance(settings, dict) else {})


def _given(values: Values, *path: str) -> object:
    return values.get(path, KEYS[path].default)


def _resolve(run_file: Path, value: object) -> Path | None:
    return None if value is None else run_file.parent / str(value)
