"""Finds a base model: the folder that was named, or a name on the Hugging Face Hub, of one pinned commit."""

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Protocol

from peer.errors import BaseModelError
from peer.extras import load
from peer.paths import existing
from peer.trainer.hf import base
from peer.trainer.hf.base import Base
from protocol.foreign import Pretrained

FETCHED = (base.CONFIG, base.TOKENIZER, "tokenizer_config.json", *base.WEIGHTS)
"""All that is ever fetched of a repository. Weights in other formats stay where they are."""

ONLY_TOP = "*/*"
"""What is left out: everything in subfolders."""

EXTRAS = 64 << 20
"""Bytes that a repository's configuration and tokenizer may have beside the weights."""

_PATTERNS = {"allow_patterns": list(FETCHED), "ignore_patterns": [ONLY_TOP]}
_HUB_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?\Z")
_COMMIT = re.compile(r"^[0-9a-f]{40}\Z")


class NotHadError(BaseModelError):
    """The Hub has no such model, or does not answer."""


class Hub(Protocol):
    """What is asked of `huggingface_hub`."""

    def files(self, name: str, revision: str | None) -> tuple[str, dict[str, int]]:
        """Return the commit that `revision` means, and the sizes of the files that would be fetched."""

    def fetch(self, name: str, commit: str) -> Path:
        """Return a folder with these files, from the cache as far as it has them."""


def find(source: str, revision: str | None = None, limit: int | None = None, hub: Hub | None = None) -> Base:
    """Return the base model called `source`.

    Args:
        source: a folder on this host, or a name on the Hub.
        revision: of the Hub's repository: a branch, tag or commit; None for its main branch.
        limit: bytes of weights beyond which nothing is fetched; None for no limit.
        hub: the Hub, or a stand-in.

    Raises:
        BaseModelError: it is not there, too large, or not of a kind that can be used.
        ExtraMissingError: a name on the Hub, without the packages that fetch from there.
    """
    if folder := folder_of(source):
        return base.read(folder, told(folder.resolve().name), None)
    return _from_hub(source, revision, limit, hub)


def folder_of(source: str) -> Path | None:
    """Return the folder of this host that is meant; None for a name on the Hub."""
    folder = existing(source)
    return folder if folder and folder.is_dir() else None


def _from_hub(source: str, revision: str | None, limit: int | None, hub: Hub | None = None) -> Base:
    if not _HUB_NAME.match(source):
        raise BaseModelError(
            f"there is no folder {source}", "Name the base model's folder, or its name on the Hub"
        )
    hub = hub or HuggingFace()
    commit, sizes = hub.files(source, revision)
    weights = sum(size for name, size in sizes.items() if name.endswith(".safetensors"))
    most = None if limit is None else limit + EXTRAS
    if most is not None and sum(sizes.values()) > most:
        raise BaseModelError(
            f"{source} on the Hub has {weights} bytes of weights, the run's base model {limit}",
            "It is another model: name the right one with --model",
        )
    return base.read(hub.fetch(source, commit), source, commit)


def find_for(wanted: Pretrained, place: str | None) -> Base:
    """Return the base model that a manifest names, from `place` or else by its name on the Hub.

    Raises:
        BaseModelError: it is not there, or another one is.
        ExtraMissingError: as `find`.
    """
    if place is None and wanted.revision is None:
        raise BaseModelError(
            f"this run trains on top of the model {wanted.source}, which its founder has in a folder",
            "Get a copy of it, and name your folder with --model (for `peer export` and the like: --base)",
        )
    if place is not None:
        found = find(place, wanted.revision, wanted.size)
    else:
        # Never a folder of this host, whatever a stranger's manifest calls its model.
        found = _from_hub(wanted.source, wanted.revision, wanted.size)
    for what, theirs, ours in (
        ("config.json has", wanted.config, found.config_hash()),
        ("weights have", wanted.weights, found.weights_hash()),
    ):
        if theirs != ours:
            raise BaseModelError(
                f"the base model in {found.folder} is not this run's: its {what} the hash {ours.hex()[:16]}, "
                f"the run's manifest names {theirs.hex()[:16]}",
                f"Take {wanted.source}"
                + (f" of revision {wanted.revision}" if wanted.revision else "")
                + " as the run's founder has it, with --model",
            )
    return found


def _is_fetched(name: str) -> bool:
    return "/" not in name and any(fnmatch(name, pattern) for pattern in FETCHED)


def told(name: str) -> str:
    """Make a folder's name fit for a manifest."""
    return re.sub(r"[^A-Za-z0-9._ -]", "_", name).lstrip("._ -")[:200] or "model"


class HuggingFace:
    """The real Hub, through `huggingface_hub`, with its own cache and its own token."""

    def __init__(self) -> None:
        self._hub = load("huggingface_hub", "hf", "a model from the Hugging Face Hub")

    def files(self, name: str, revision: str | None) -> tuple[str, dict[str, int]]:
        """See `Hub`. A commit that is in the cache is looked up there, without the network."""
        if revision is not None and _COMMIT.match(revision) and (cached := self._cached(name, revision)):
            return revision, {file.name: file.stat().st_size for file in cached.iterdir()}
        try:
            info = self._hub.HfApi().model_info(name, revision=revision, files_metadata=True)
        except Exception as error:  # whatever the library beneath that one raises
            raise self._unreachable(name, error) from error
        sizes = {str(each.rfilename): int(each.size or 0) for each in info.siblings}
        return str(info.sha), {name: size for name, size in sizes.items() if _is_fetched(name)}

    def fetch(self, name: str, commit: str) -> Path:
        """See `Hub`."""
        try:
            return Path(self._hub.snapshot_download(name, revision=commit, **_PATTERNS))
        except Exception as error:  # whatever the library beneath that one raises
            raise self._unreachable(name, error) from error

    def _cached(self, name: str, commit: str) -> Path | None:
        try:
            folder = Path(
                self._hub.snapshot_download(name, revision=commit, local_files_only=True, **_PATTERNS)
            )
            base.read(folder, name, commit)
        except (OSError, ValueError, BaseModelError):
            return None
        return folder

    def _unreachable(self, name: str, error: Exception) -> NotHadError:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return NotHadError(
            f"{name} cannot be had from the Hugging Face Hub: {reason}",
            "Check the name and the network, or name a folder that has the model",
        )
