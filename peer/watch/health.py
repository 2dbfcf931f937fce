"""What is well with a peer and what is not, in a few words each, the worst first."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from peer.telemetry.format import format_bytes, format_seconds, progress_line
from peer.watch.seen import Seen
from protocol.control import Detail, Status

LITTLE_ROOM = 5_000_000_000
NO_ROOM = 1_000_000_000
"""Bytes free on the disk below which it is said, and below which checkpoints are in danger."""

MUCH_TRAFFIC = 0.9
"""Of what may be moved in a month, from which it is said."""

SILENT = 3.0
"""Seconds without an answer of the daemon after which it is said: it answers within milliseconds."""


class Level(IntEnum):
    """How much it matters."""

    BAD = 0
    WATCH = 1
    WELL = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a peer.

    Attributes:
        level: how much it matters.
        words: what it is.
        topic: the same as long as only numbers in the words change; names it when it is over.
    """

    level: Level
    words: str
    topic: str


def health(seen: Seen) -> tuple[Finding, ...]:
    """Return what there is to say, the worst first."""
    detail = seen.detail
    found = [*_daemon(seen), *_swarm(detail), *_reach(detail.status), *_trainer(detail), *_disk(detail)]
    return tuple(sorted(found, key=lambda finding: finding.level))


def _daemon(seen: Seen) -> Iterator[Finding]:
    if seen.silent >= SILENT:
        words = f"the daemon has not answered for {format_seconds(seen.silent)}"
        yield Finding(Level.BAD, words, "a silent daemon")
    status = seen.detail.status
    for pause in status.pauses:
        yield Finding(Level.WATCH, f"paused: {pause.reason}", f"the pause ({pause.kind})")
    for limit in status.unwatched:
        key, _, reason = limit.partition(": ")
        yield Finding(Level.WATCH, f"nothing watches {key}: {reason}", f"{key} unwatched")
    month = status.month
    if month is not None and month.limit is not None:
        words = f"{format_bytes(month.used)} of {format_bytes(month.limit)} of traffic in {month.name}"
        level = Level.WATCH if month.used > MUCH_TRAFFIC * month.limit else Level.WELL
        yield Finding(level, words, "traffic of the month")
    if status.behind is not None:
        yield Finding(Level.WATCH, f"catching up: {status.behind:,} outer steps behind", "catching up")
    joining = status.joining
    if joining is not None:
        line = progress_line(joining.received, joining.size, joining.rate, joining.seconds_left)
        yield Finding(Level.WATCH, f"fetching the run's weights: {line.partition(' ')[2]}", "joining")


def _swarm(detail: Detail) -> Iterator[Finding]:
    status = detail.status
    if status.preset == "solo":
        yield Finding(Level.WELL, "trains alone, as its run wants (solo)", "peers")
    elif status.alone_seconds > 0:
        words = f"ALONE for {format_seconds(status.alone_seconds)}: no peer in view"
        yield Finding(Level.BAD, words, "alone")
    else:
        peers = f"{status.peers_in_view} peer{'s' * (status.peers_in_view != 1)} in view"
        yield Finding(Level.WELL, f"{peers}, ~{status.swarm_size} in all", "peers")
    if detail.torn and status.preset != "solo" and status.alone_seconds == 0:
        words = "many peers fell silent lately: a split, or this host's line"
        yield Finding(Level.WATCH, words, "many silent peers")
    if detail.splits:
        times = "once" if detail.splits == 1 else f"{detail.splits} times"
        yield Finding(Level.WATCH, f"met another half of the run {times}, and joined it", "splits")
    if detail.refused:
        yield Finding(
            Level.WATCH, f"refused {detail.refused} shares that were not fit to mix", "refused shares"
        )


def _reach(status: Status) -> Iterator[Finding]:
    if status.reachable:
        yield Finding(Level.WELL, "others can dial this peer", "reach")
    elif status.reachable is None:
        yield Finding(Level.WELL, "nobody has tried to dial this peer yet", "reach")
    else:
        ways = f"{status.circuits} relay{'s' * (status.circuits != 1)}" if status.circuits else "no relay"
        words = f"nobody can dial this peer; reached through {ways}; see `peer doctor`"
        yield Finding(Level.WATCH, words, "out of reach")


def _trainer(detail: Detail) -> Iterator[Finding]:
    status = detail.status
    if status.state == "restarting trainer":
        yield Finding(Level.BAD, "the trainer died and is being restarted", "a dead trainer")
    restarts = status.trainer_restarts
    times = f"restarted {restarts} time{'s' * (restarts > 1)}" if restarts else "never restarted"
    where = f" on {status.device}" if status.device else ""
    yield Finding(Level.WATCH if restarts else Level.WELL, f"trainer{where}, {times}", "trainer restarts")


def _disk(detail: Detail) -> Iterator[Finding]:
    free = detail.disk_free
    level = Level.BAD if free < NO_ROOM else Level.WATCH if free < LITTLE_ROOM else Level.WELL
    yield Finding(level, f"disk: {format_bytes(free)} free", "disk")
