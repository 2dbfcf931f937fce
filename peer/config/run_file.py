"""Read `run.toml`: a run's contract as its founder writes it, and where this host keeps the files.

Every mistake of a kind is reported at once, each with its line, the value, and what is allowed.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from peer.config.check import Mistake, Values, check_files, check_keys, must_be
from peer.config.locate import Lines, line_of, locate
from peer.config.schema import BY_PRESET, KEYS, LOCAL
from peer.errors import RunFileError
from protocol.manifest import Manifest
from protocol.presets import PRESETS
from protocol.rules import draft_violations

NO_FOUNDER = bytes(32)
"""Stands in a draft where the founder's key will."""

_REMEDY = "Correct the file and try again; `peer init` writes one in which every key is explained"


@dataclass(frozen=True, slots=True)
class RunFile:
    """A `run.toml` that holds no mistake.

    Attributes:
        path: the file itself.
        draft: the manifest, but for its founder and the hashes of its files.
        data_path: the training text or tokens; None where the corpus comes with the code or with Python.
        tokenizer_path: the tokenizer file; None for bytes.
        weights_path: the first weights; None where they come from the seed.
    """

    path: Path
    draft: Manifest
    data_path: Path | None
    tokenizer_path: Path | None
    weights_path: Path | None

    def manifest(
        self,
        founder: bytes,
        *,
        data_sha256: bytes | None = None,
        tokenizer_sha256: bytes | None = None,
        weights_sha256: bytes | None = None,
    ) -> Manifest:
        """Return the whole manifest: the draft, its founder's public key, and the hashes of its files."""
        return msgspec.structs.replace(
            self.draft,
            founder=founder,
            model=msgspec.structs.replace(self.draft.model, sha256=weights_sha256),
            data=msgspec.structs.replace(self.draft.data, sha256=data_sha256),
            tokenizer=msgspec.structs.replace(self.draft.tokenizer, sha256=tokenizer_sha256),
        )


def read_run_file(path: Path) -> RunFile:
    """Read and check the file at `path`.

    Raises:
        RunFileError: it cannot be read, or has mistakes; the message has a line for each.
    """
    text = _read(path)
    table = _parse(path, text)
    lines = locate(text)
    values, mistakes = check_keys(table)
    _refuse(path, lines, mistakes)
    _refuse(path, lines, check_files(values))
    draft = _draft(values)
    _refuse(path, lines, (must_be(each.path, each.value, each.allowed) for each in draft_violations(draft)))
    return RunFile(path, draft, *(_resolve(path, values.get(key)) for key in LOCAL))


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


def _refuse(path: Path, lines: Lines, mistakes: Iterable[Mistake]) -> None:
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
        if path in LOCAL:
            continue
        fields = sections.setdefault(path[0], {}) if len(path) > 1 else top
        fields[path[-1]] = value
    return msgspec.convert(top | sections, Manifest)


def _given(values: Values, *path: str) -> object:
    return values.get(path, KEYS[path].default)


def _resolve(run_file: Path, value: object) -> Path | None:
    return None if value is None else run_file.parent / str(value)
