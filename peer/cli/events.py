"""`peer events`: what has happened to a peer, in plain words or for programs."""

import re
import time
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from peer.cli.options import Home
from peer.daemon.home import Home as Folder
from peer.errors import HomeError, UsageError
from peer.paths import DEFAULT_HOME
from peer.telemetry.event import Event
from peer.telemetry.event_file import Follower, read_events, to_json

LAST = 50
"""Events that are told where nothing says how many."""

POLL = 0.5
"""Seconds between two looks into a log that is followed."""

_AGO = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def since(text: str) -> float:
    """Return the moment that is meant, in seconds since 1970: `10m` ago, or a date and time.

    Raises:
        UsageError: it is neither.
    """
    if match := _AGO.fullmatch(text):
        return time.time() - int(match[1]) * _SECONDS[match[2]]
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            f"{text!r} is no time", "Write it like 30s, 10m, 2h, 3d (ago), 2026-11-20 or 2026-11-20T18:30"
        ) from error


def events(
    home: Home = DEFAULT_HOME,
    since_: Annotated[
        float | None,
        typer.Option(
            "--since", metavar="TIME", parser=since, help="From then on: 10m or 2h ago, or a date and time."
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what happens from now on.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
    jsonl: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all of them there as JSON lines instead.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all of them there as a Parquet table instead.")
    ] = None,
) -> None:
    """Tell what has happened to a peer. The last 50 events or all of a time, whether its daemon runs or not.

    Example: peer events --since 2h
    """
    log = Folder(home).events
    if follow and (jsonl or parquet):
        raise UsageError("A file cannot be followed", "Leave --follow away, or print with --json")
    if not log.exists() and not follow:
        raise HomeError(f"Nothing has happened in {home} yet", "Name the --home of a peer that was started")
    if jsonl or parquet:
        _export(log, since_, jsonl, parquet)
        return
    # Opened before what there is is read: an event of that moment may be told twice, but none is lost.
    with Follower(log, tail=0) as follower:
        if follow:
            follower.read()
        _tell(_chosen(log, since_, LAST), as_json=as_json)
        while follow:
            _tell(follower.read(), as_json=as_json)
            time.sleep(POLL)


def _chosen(log: Path, moment: float | None, last: int | None) -> Iterable[Event]:
    found: Iterable[Event] = read_events(log)
    if moment is not None:
        return (event for event in found if event.time >= moment)
    return deque(found, maxlen=last)


def _tell(told: Iterable[Event], *, as_json: bool) -> None:
    for event in told:
        if as_json:
            print(to_json(event), flush=True)
        else:
            moment = datetime.fromtimestamp(event.time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
            print(f"{moment} {event.describe()}", flush=True)


def _export(log: Path, moment: float | None, jsonl: Path | None, parquet: Path | None) -> None:
    from peer.telemetry.export import write_json_lines, write_parquet

    for path, write in ((jsonl, write_json_lines), (parquet, write_parquet)):
        if path is not None:
            count = write(_chosen(log, moment, None), path)
            print(f"{count} events written to {path}")
