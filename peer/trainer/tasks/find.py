"""Finds a task among the installed plug-ins, and sees that it is the run's and that its host allows it.

Nothing of a plug-in is imported before `Plugin.load`. Imports no torch.
"""

import hashlib
import importlib.util
import re
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import msgspec

from peer.errors import TaskError
from protocol import foreign
from protocol.foreign import Package, Version

GROUP = "murmuration.tasks"
"""Entry points of tasks; each names a subclass of `Task`, or a function that returns one."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed task.

    Attributes:
        entry: what leads to it.
        package: the distribution that brings it, its name in normal form.
        version: the distribution's.
        source: SHA-256 of the source files of the entry's top module or package.
    """

    entry: EntryPoint
    package: str
    version: str
    source: bytes

    def load(self) -> object:
        """Import the plug-in, and return what its entry names. What that raises is the plug-in's."""
        return self.entry.load()


def find(name: str) -> Plugin:
    """Return the installed task with this name.

    Raises:
        TaskError: there is none, or two packages have one, or it has nothing to tell it by.
    """
    # Of a package that is on the path twice, only the one that Python would import is listed.
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        others = ", ".join(sorted({each.name for each in entry_points(group=GROUP)})) or "none"
        raise TaskError(
            f"no task {name} is installed here (installed: {others})",
            f"Install the package that brings it, as an entry point of {GROUP}, beside `peer`",
        )
    if len(found) > 1:
        packages = " and ".join(sorted({_package(entry) for entry in found}))
        raise TaskError(f"{packages} bring a task {name} each", "Uninstall all but one")
    (entry,) = found
    package = _check(_package(entry), Package, "package")
    version = _check(entry.dist.version if entry.dist else "", Version, "version")
    return Plugin(entry, package, version, _source(entry))


def find_for(wanted: foreign.Task, allowed: str | None) -> Plugin:
    """Return the task that a manifest names.

    Args:
        wanted: as the manifest names it.
        allowed: the name of the task that this host's owner lets run.

    Raises:
        TaskError: it is not allowed, not here, or not the same.
    """
    install = f"{wanted.package} {wanted.version}"
    if allowed != wanted.name:
        raise TaskError(
            f"this run trains the task {wanted.name}: code of the package {install}, "
            "which you have not allowed to run here",
            f"If you trust its author, install the package and name the task: --task {wanted.name}",
        )
    if not entry_points(group=GROUP, name=wanted.name):
        raise TaskError(
            f"the run's task {wanted.name} is not installed here",
            f"Install {install}, if you trust its author",
        )
    here = find(wanted.name)
    if differing := _differences(here, wanted):
        raise TaskError(
            f"the task {wanted.name} here is not the run's: {'; '.join(differing)}",
            f"Install {install} as the run's founder has it; a changed task needs a new run and --home",
        )
    return here


def _differences(here: Plugin, wanted: foreign.Task) -> list[str]:
    pairs = (
        ("package", here.package, wanted.package),
        ("version", here.version, wanted.version),
        ("source", here.source.hex()[:12], wanted.source.hex()[:12]),
    )
    return [
        f"task.{name}: {ours} here, {theirs} in the manifest"
        for name, ours, theirs in pairs
        if ours != theirs
    ]


def _package(entry: EntryPoint) -> str:
    """Return the distribution's name in normal form: https://peps.python.org/pep-0503/."""
    return re.sub(r"[-_.]+", "-", entry.dist.name if entry.dist else "").lower()


def _check(value: str, kind: object, what: str) -> str:
    try:
        return str(msgspec.convert(value, kind))
    except msgspec.ValidationError as error:
        raise TaskError(
            f"the plug-in's {what} is {value!r}, which a manifest cannot hold",
            "Rename it, and install it again",
        ) from error


def _source(entry: EntryPoint) -> bytes:
    """Hash what Python would import for the entry's first name, without importing it."""
    top = entry.module.partition(".")[0]
    spec = importlib.util.find_spec(top)
    if spec is None:
        raise TaskError(
            f"the task {entry.name} names the module {top}, which is not here", "Install it again"
        )
    if spec.submodule_search_locations is None:
        files = [(top, Path(spec.origin or ""))]
    else:
        folders = [Path(each) for each in spec.submodule_search_locations]
        files = [(file.relative_to(root).as_posix(), file) for root in folders for file in root.rglob("*.py")]
    whole = hashlib.sha256()
    try:
        for name, file in sorted(files):
            whole.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    except OSError as error:
        raise TaskError(
            f"the source of the task {entry.name} cannot be read: {error}", "Install it again"
        ) from error
    return whole.digest()
