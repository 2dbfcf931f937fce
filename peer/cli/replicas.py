"""Options that name models, and what they stand for: homes, checkpoints, or an exported folder."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peer.errors import (
    CheckpointError,
    HomeError,
    ManifestInvalidError,
    ReplicasDifferError,
    UsageError,
)
from peer.paths import DEFAULT_HOME, expand
from protocol.errors import ProtocolError
from protocol.manifest import SignedManifest
from protocol.rules import admit

if TYPE_CHECKING:
    from peer.models.replicas import Replicas
    from peer.trainer.checkpoint import Saved
    from peer.trainer.work import Places


def _expand(paths: list[Path] | None) -> list[Path] | None:
    return None if paths is None else [expand(path) for path in paths]


Homes = Annotated[
    list[Path] | None,
    typer.Option(
        "--home",
        metavar="DIR",
        callback=_expand,
        help="A peer's folder (default: ~/.murmuration), or one with several inside; repeatable.",
    ),
]
Checkpoints = Annotated[
    list[Path] | None,
    typer.Option(
        "--checkpoint", metavar="DIR", help="A single checkpoint, such as .../step-00000200; repeatable."
    ),
]
TokenizerFile = Annotated[
    Path | None,
    typer.Option(
        "--tokenizer", metavar="FILE", help="The run's tokenizer.json; default: what the home used."
    ),
]
BaseModel = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="MODEL",
        help="The run's base model, where it has one: a folder, or a Hub name; default: what the home used.",
    ),
]
ModelFolder = Annotated[
    Path | None, typer.Option("--model", metavar="DIR", help="What `peer export` wrote, in place of homes.")
]


def find_replicas(
    homes: list[Path] | None,
    checkpoints: list[Path] | None = None,
    tokenizer: Path | None = None,
    base: str | None = None,
) -> "Replicas":
    """Return the newest checkpoint of each home, and the single ones; a home's daemon may be running.

    Raises:
        HomeError: a home has no run, or none is given to say what run a single checkpoint is of.
        CheckpointError: a home has no checkpoint, or one is damaged.
        ReplicasDifferError: they are of different runs.
        ManifestInvalidError: the run's manifest is damaged.
    """
    from peer.models.replicas import Replica, Replicas
    from peer.trainer.checkpoint import examine

    named = homes or ([] if checkpoints else [DEFAULT_HOME.expanduser()])
    found: list[tuple[Path, Saved]] = [(home, _newest(home)) for home in _homes(named)]
    for path in checkpoints or []:
        folder = path.parent if path.is_file() else path
        found.append((folder.absolute().parents[1], examine(folder)))
    found = list({saved.path.resolve(): (home, saved) for home, saved in found}.values())
    home, sealed = _manifest([home for home, _ in found])
    run_id = sealed.run_id.hex()
    for _, saved in found:
        if saved.run != run_id:
            raise ReplicasDifferError(
                f"{saved.path} is of the run {saved.run[:12]}, {home} of the run {run_id[:12]}",
                "Name replicas of one run only",
            )
    try:
        manifest = admit(sealed)
    except ProtocolError as error:
        raise ManifestInvalidError(
            f"{home}/manifest is not valid: {error}", "Put back a copy, or name another peer's home"
        ) from error
    members = tuple(Replica(_name(home, saved), saved.path, saved.counters) for home, saved in found)
    return Replicas(run_id, manifest, _places(home, tokenizer, base), members)


def one_source(homes: list[Path] | None, model: Path | None) -> None:
    """See that not both are given.

    Raises:
        UsageError: they are.
    """
    if homes and model:
        raise UsageError("--home and --model name two things", "Give one of them")


def warn_of_stragglers(replicas: "Replicas") -> None:
    """Say on standard error whose weights are much older than the others': their average may be worse."""
    newest = max(one.counters.inner_step for one in replicas.members)
    late = [
        one for one in replicas.members if newest - one.counters.inner_step > replicas.manifest.outer.every
    ]
    for one in late:
        steps = f"stands at inner step {one.counters.inner_step:,}, the newest replica at {newest:,}"
        print(f"peer: {one.name} {steps}: leave it out if it has stopped", file=sys.stderr)


def _homes(named: list[Path]) -> Iterator[Path]:
    for path in named:
        inside = [] if (path / "manifest").exists() else sorted(path.glob("*/manifest"))
        yield from [file.parent for file in inside] or [path]


def _newest(home: Path) -> "Saved":
    from peer.trainer.checkpoint import newest_weights

    if not home.is_dir():
        raise HomeError(f"There is no peer's home at {home}", "Name one with --home")
    saved = newest_weights(home / "checkpoints")
    if saved is None:
        raise CheckpointError(
            f"{home} has no checkpoint yet", "Start a peer there and let it train, or name another --home"
        )
    return saved


def _manifest(homes: list[Path]) -> tuple[Path, SignedManifest]:
    """Return the first manifest that the homes hold; a checkpoint that was copied away is without."""
    from peer.daemon.home import look_into

    for home in homes:
        if (sealed := look_into(home)) is not None:
            return home, sealed
    raise HomeError(
        f"{homes[0]} holds no manifest, which says what the checkpoint is of",
        "Name a --home of the same run as well",
    )


def _places(home: Path, tokenizer: Path | None, base: str | None) -> "Places":
    from peer.daemon.settings import recall
    from peer.trainer.work import Places

    kept = recall(home)
    return Places(
        data=kept.data_paths,
        tokenizer=tokenizer or (Path(kept.tokenizer_path) if kept.tokenizer_path else None),
        model=base or kept.model_path,
        allowed_task=kept.allowed_task,
    )


def _name(home: Path, saved: "Saved") -> str:
    return home.name if saved.path.parent == home / "checkpoints" else saved.path.name
