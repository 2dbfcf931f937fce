"""What peers have learned, by the checkpoints in their homes."""

from collections.abc import Sequence
from pathlib import Path

from peer.daemon.home import look_into
from peer.trainer import checkpoint
from peer.trainer.evaluate import Losses
from peer.trainer.work import Places, evaluate
from protocol.manifest import Manifest, open_manifest


def manifest_of(home: Path) -> Manifest:
    """The manifest that a home keeps."""
    sealed = look_into(home)
    assert sealed is not None
    return open_manifest(sealed)


def last_checkpoint(home: Path) -> Path:
    """The folder of a home's last checkpoint."""
    return checkpoint.paths(home / "checkpoints")[0]


def losses(homes: Sequence[Path], places: Places | None = None) -> Losses:
    """The losses on held-out text of replicas of one run, and of their average."""
    found = [last_checkpoint(home) for home in homes]
    return evaluate(found, manifest_of(homes[0]), places or Places(), None)
