"""What the doctor looks at in a home's limits: whether they are right, watched, and let it train."""

from datetime import datetime
from pathlib import Path

from peer.daemon import disk
from peer.daemon.doctor.findings import Finding, Level, Number, found, well
from peer.daemon.doctor.machine import Seen
from peer.daemon.limits_file import read_given, read_limits
from peer.daemon.watching import Watching
from peer.errors import LimitsError
from peer.governor.decide import wanted
from peer.governor.limits import Limits, in_words, taken_back
from peer.governor.readings import HomeSize, Readings, merge
from peer.governor.sensors.base import Missing
from peer.governor.sensors.find import Device, find
from peer.governor.sensors.processes import own_memory
from peer.paths import option_for
from peer.plan.shape import trainer_memory
from protocol.control import PauseKind
from protocol.manifest import Manifest

LASTING: tuple[PauseKind, ...] = ("memory", "disk")
"""Reasons for which it would never train; the others go away by themselves."""


async def look_at_limits(home: Path, manifest: Manifest | None, seen: Seen) -> list[Finding]:
    """See what `limits.toml` says, who watches it, and what would pause training now."""
    try:
        limits, given = read_limits(home), read_given(home)
    except LimitsError as error:
        return [found("limits", Number.LIMITS, "failure", error.message, mend=error.remedy)]
    gone: list[Missing] = []
    watching = Watching(gone.append)
    watching.watch(find(limits, Device.of(seen.device, seen.gpus)))
    readings = merge(await watching.read(), _reckoned(manifest, seen))
    now = datetime.now().astimezone()
    findings = [_unwatched(missing, home, asked=missing.key in given) for missing in gone]
    findings += [_pause(kind, reason) for kind, reason in wanted(readings, limits, now, ()).items()]
    return findings or [well("limits", _words(limits))]


def _words(limits: Limits) -> str:
    return "; ".join(in_words(limits)) or "none is set"


def _reckoned(manifest: Manifest | None, seen: Seen) -> Readings:
    if manifest is None:
        return Readings()
    needed = None
    if Device.of(seen.device).kind == "cpu":
        # A daemon takes about as much as this process, and a little more once it has met others.
        needed = trainer_memory(manifest) + own_memory()
    checkpoint = disk.checkpoint(manifest)
    return Readings(memory_needed=needed, home=HomeSize(checkpoint, checkpoint))


def _unwatched(missing: Missing, home: Path, *, asked: bool) -> Finding:
    level: Level = "failure" if asked else "note"
    said = f"{missing.key}: {missing.reason}"
    return found(
        "limits",
        Number.UNWATCHED,
        level,
        said,
        mend=f"peer limits{option_for(home)} {taken_back(missing.key)}",
    )


def _pause(kind: PauseKind, reason: str) -> Finding:
    level: Level = "failure" if kind in LASTING else "note"
    return found("limits", Number.PAUSES, level, f"it would pause now: {reason}", mend="peer limits --help")
