"""The training text as bytes, and its hash. Imports no torch: a founder hashes without a trainer."""

import hashlib
import importlib.util
import lzma
import sysconfig
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Literal

from peer.errors import DataError
from protocol.manifest import Part, TextSource

Embedded = Literal["shakespeare", "austen"]

_LEFT_OUT = frozenset({"test", "tests", "idlelib", "site-packages", "dist-packages", "__pycache__"})


def embedded(name: Embedded) -> bytes:
    """Return one of the texts that come with the code; corpus/NOTICE says where they are from."""
    packed = resources.files("peer.trainer.corpus").joinpath(f"{name}.txt.xz").read_bytes()
    return lzma.decompress(packed)


def text(source: TextSource, path: Path | None) -> bytes:
    """Return the whole text of a source that is held in memory: any but `tokens`.

    Raises:
        DataError: nothing is at `path`, or it cannot be read, or is not text.
    """
    if source == "shakespeare":
        return embedded("shakespeare")
    if source == "python":
        return b"\n".join(file.read_bytes() for file in _python_files())
    return b"\n".join(read_text(file) for file in _text_files(given(path)))


def content_hash(source: TextSource, path: Path | None) -> bytes | None:
    """Return the 32-byte SHA-256 that a manifest gives for this source; None for the embedded text.

    Raises:
        DataError: nothing is at `path`, or it cannot be read, or is not text.
    """
    if source == "shakespeare":
        return None
    if source != "tokens":
        return hashlib.sha256(text(source, path)).digest()
    return file_hash(given(path))


def file_hash(file: Path) -> bytes:
    """Return the 32-byte SHA-256 of a file of any size.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        raise _unreadable(file, error) from error


def given(path: Path | None, what: str = "a file") -> Path:
    """Return `path`, which this source needs: that of `what`.

    Raises:
        DataError: it is None.
    """
    if path is None:
        raise DataError(f"the run trains on {what}, and none was given", "Name it with --data.")
    return path


def compare(wanted: Part, path: Path | None, found: bytes | None) -> None:
    """See that the data at `path`, which has the hash `found`, is what the manifest names.

    Raises:
        DataError: it is not.
    """
    if found == wanted.sha256:
        return
    ours, theirs = (each.hex()[:16] if each else "none" for each in (found, wanted.sha256))
    where = "here" if path is None else f"at {path}"
    raise DataError(
        f"the {wanted.source} data {where} has the hash {ours}, the run's manifest names {theirs}",
        "Take the same files as the run's founder"
        + (" (the same releases of Python and torch)." if wanted.source == "python" else "."),
    )


def _python_files() -> Iterator[Path]:
    """Yield the sources of the standard library and of torch, sorted, but for what differs between builds."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise DataError("torch is not installed", "Install it, or train on another source.")
    torch_root = Path(spec.origin).parent
    for root in (Path(sysconfig.get_path("stdlib")), torch_root):
        found = {file.relative_to(root).as_posix(): file for file in root.rglob("*.py")}
        for name in sorted(found):
            of_build = name.startswith("_sysconfigdata") or found[name] == torch_root / "version.py"
            if not of_build and _LEFT_OUT.isdisjoint(name.split("/")):
                yield found[name]


def _text_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    files = [found[name] for name in sorted(found) if not any(part[0] == "." for part in name.split("/"))]
    if not files:
        raise DataError(
            f"no text is at {path}",
            "Name a text file, or a folder of text files: in the run file, or with --data.",
        )
    return files


def read_text(file: Path) -> bytes:
    """Return a whole file of UTF-8 text.

    Raises:
        DataError: it cannot be read, or is not text.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from error
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 text: {error}", "Convert it, or leave it out.") from error
    return content


def _unreadable(file: Path, error: OSError) -> DataError:
    return DataError(f"{file} cannot be read: {error.strerror}", "Check the path and its permissions.")
