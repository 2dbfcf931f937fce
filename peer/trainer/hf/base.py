"""A base model on this host: its files, from a folder or the Hub, and the hashes by which peers compare it.

Only `config.json`, safetensors and the tokenizer are ever read or fetched. Imports neither torch nor
transformers.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from peer.errors import BaseModelError
from peer.trainer import sources

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
WEIGHTS = ("model.safetensors", "model-?????-of-?????.safetensors")
"""Names of the weights' one file, or of its parts."""

MAX_CONFIG = 1 << 20
"""Bytes of a configuration."""

_UNIMPORTANT = ("transformers_version", "torch_dtype", "dtype", "architectures", "use_cache")
"""Keys that differ between copies of one model, and say nothing of what is computed."""

_DANGEROUS = ("auto_map", "attn_implementation", "experts_implementation", "transformers_weights")
"""Keys that could have code or other files fetched."""

_COUNTS = ("layers", "layer", "experts", "blocks")
"""What names of such numbers end with: `num_hidden_layers`, `n_layer`, `num_local_experts`."""

MOST_PARTS = 4096
"""Layers, experts and the like in a model: each is built one by one."""

Config = dict[str, object]


@dataclass(frozen=True, slots=True)
class Base:
    """A base model on this host.

    Attributes:
        folder: where its files are.
        source: its name on the Hub, or the folder's, for the manifest.
        revision: its commit on the Hub; None for a folder.
        config: what `config.json` says, less what a stranger's must not.
        files: the safetensors files, by name.
    """

    folder: Path
    source: str
    revision: str | None
    config: Config
    files: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes of the weights."""
        return sum(file.stat().st_size for file in self.files)

    @property
    def tokenizer(self) -> Path | None:
        """The model's own tokenizer file, if it has one."""
        path = self.folder / TOKENIZER
        return path if path.is_file() else None

    def config_hash(self) -> bytes:
        """Return the SHA-256 of the configuration, however it is written down."""
        told = {name: value for name, value in self.config.items() if name not in _UNIMPORTANT}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).digest()

    def weights_hash(self) -> bytes:
        """Return the SHA-256 of the weights: of the one file, or of all files' hashes, by their names.

        Raises:
            DataError: one cannot be read.
        """
        if len(self.files) == 1:
            return sources.file_hash(self.files[0])
        hashes = (sources.file_hash(file) for file in self.files)
        return hashlib.sha256(b"".join(hashes)).digest()


def read(folder: Path, source: str, revision: str | None) -> Base:
    """Return the base model in `folder`.

    Raises:
        BaseModelError: it is not whole, not in safetensors, or asks for what must not be.
    """
    # Some repositories keep other files of weights beside the model's own.
    files = next((found for name in WEIGHTS if (found := tuple(sorted(folder.glob(name))))), None)
    if files is None:
        raise BaseModelError(
            f"{folder} has no {' or '.join(WEIGHTS)}",
            "Weights in other formats can hold code: convert them first",
        )
    return Base(folder, source, revision, _read_config(folder / CONFIG), files)


def _read_config(path: Path) -> Config:
    remedy = "Name the folder of a model that transformers has saved"
    try:
        if path.stat().st_size > MAX_CONFIG:
            raise BaseModelError(f"{path} is larger than {MAX_CONFIG} bytes", remedy)
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BaseModelError(f"{path} cannot be read: {error}", remedy) from error
    if not isinstance(told, dict) or not isinstance(told.get("model_type"), str):
        raise BaseModelError(f"{path} names no model_type", remedy)
    config = cast("Config", _harmless(told))
    if "quantization_config" in config:
        raise BaseModelError(f"{path} is of a quantised model", "Take the model itself, in safetensors")
    for name, value in _numbers(config):
        if value > MOST_PARTS and name.endswith(_COUNTS):
            raise BaseModelError(f"{path} has {name} = {value}, above {MOST_PARTS}", remedy)
    return config


def _harmless(value: object) -> object:
    """Leave out, at any depth, what could make `transformers` fetch or run something."""
    if isinstance(value, list):
        return [_harmless(item) for item in value]
    if isinstance(value, dict):
        return {
            name: _harmless(item)
            for name, item in value.items()
            if not name.startswith("_") and name not in _DANGEROUS
        }
    return value


def _numbers(config: Config) -> Iterator[tuple[str, float]]:
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _numbers(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield name, value
