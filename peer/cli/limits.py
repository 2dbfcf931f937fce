"""`peer limits`: what this peer may use, and when it makes room for others."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from peer.cli.options import AsJson, Home
from peer.daemon.home import identity_file
from peer.daemon.limits_file import limits_file, read_given, read_limits, write_given
from peer.errors import UsageError
from peer.governor.limits import KEYS, Given, Limits, Value, read_value
from peer.paths import DEFAULT_HOME, option_for

NONE = "none"
"""Takes a limit back."""

WATCHED = {"pause_for_others", "pause_at_keyboard", "max_temperature", "max_power"}
"""Limits that need a sensor which is not everywhere."""


def _option(key: str, metavar: str) -> object:
    about = KEYS[key]
    meaning, example = about.meaning[0].upper() + about.meaning[1:], about.example.strip('"')
    such = f"{example}, or {about.by_gpu} by GPU" if about.by_gpu else example
    return typer.Option(metavar=metavar, help=f"{meaning}, such as {such}; {NONE}: no limit.")


def limits(
    home: Home = DEFAULT_HOME,
    hours: Annotated[str | None, _option("hours", "HOURS")] = None,
    pause_for_others: Annotated[
        bool | None, typer.Option(help="Pause while another process uses the GPU; usual.")
    ] = None,
    pause_on_battery: Annotated[
        bool | None, typer.Option(help="Pause while this machine runs on battery; usual.")
    ] = None,
    pause_at_keyboard: Annotated[str | None, _option("pause_at_keyboard", "TIME")] = None,
    max_temperature: Annotated[str | None, _option("max_temperature", "DEGREES")] = None,
    max_power: Annotated[str | None, _option("max_power", "WATTS")] = None,
    upload: Annotated[str | None, _option("upload", "RATE")] = None,
    download: Annotated[str | None, _option("download", "RATE")] = None,
    traffic: Annotated[str | None, _option("traffic", "SIZE")] = None,
    disk: Annotated[str | None, _option("disk", "SIZE")] = None,
    memory: Annotated[str | None, _option("memory", "SIZE")] = None,
    gpu_memory: Annotated[str | None, _option("gpu_memory", "SHARE")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the limits of a peer, or set them. A running peer takes them up within seconds.

    They stand in limits.toml in the peer's home. Without options nothing is changed.

    Example: peer limits --hours 22:00-07:00 --pause-at-keyboard 5min --traffic 50GB
    """
    asked: dict[str, str | bool | None] = {
        "hours": hours,
        "pause_for_others": pause_for_others,
        "pause_on_battery": pause_on_battery,
        "pause_at_keyboard": pause_at_keyboard,
        "max_temperature": max_temperature,
        "max_power": max_power,
        "upload": upload,
        "download": download,
        "traffic": traffic,
        "disk": disk,
        "memory": memory,
        "gpu_memory": gpu_memory,
    }
    changes = {key: value for key, value in asked.items() if value is not None}
    if changes:
        write_given(home, changed(read_given(home), changes))
    given, now = read_given(home), read_limits(home)
    if as_json:
        sys.stdout.write(json.dumps({key: given.get(key, _usual(key)) for key in KEYS}) + "\n")
    else:
        Console().print(_table(given, now))
        print(_where(home, written=bool(changes)))
        if "hours" in changes and now.hours is not None and now.hours.always:
            print(f"{now.hours.text} is the whole day, every day: these hours pause nothing")
        if any(key in WATCHED and value not in (NONE, False) for key, value in changes.items()):
            print(f"whether this machine can watch that: peer doctor{option_for(home)}")


def _where(home: Path, *, written: bool) -> str:
    """Say whom the limits hold for: a home that is new may be a slip of the pen."""
    kept = f"written to {limits_file(home)}" if written else f"in {limits_file(home)}"
    if not identity_file(home).exists():
        first = f"no peer has been in this home yet; the first: peer start{option_for(home)}"
        return f"{kept}; {first}"
    return f"{kept}; a running peer takes it up in 5 s" if written else kept


def changed(given: Given, changes: dict[str, str | bool]) -> Given:
    """Return limits with some of them changed, or taken back.

    Raises:
        UsageError: a value is wrong.
    """
    wanted: dict[str, Value] = dict(given)
    for key, value in changes.items():
        wanted.pop(key, None)
        if value != NONE:
            _check(key, value)
            wanted[key] = value
    return wanted


def _check(key: str, value: Value) -> None:
    try:
        read_value(key, value)
    except UsageError as error:
        option = key.replace("_", "-")
        raise UsageError(f"--{option}: {error.message.partition(': ')[2]}", error.remedy) from error


def _usual(key: str) -> Value | None:
    usual: object = getattr(Limits(), key)
    return usual if isinstance(usual, bool) else None


def _table(given: Given, now: Limits) -> Table:
    drawn = Table(show_header=False, box=None, pad_edge=False)
    drawn.add_column(style="bold", no_wrap=True)
    drawn.add_column(no_wrap=True)
    drawn.add_column(overflow="fold", style="dim")
    for key, about in KEYS.items():
        drawn.add_row(key.replace("_", "-"), _shown(given.get(key), getattr(now, key)), about.meaning)
    return drawn


def _shown(given: Value | None, now: object) -> str:
    if isinstance(now, bool):
        return "yes" if now else "no"
    return "-" if given is None else str(given)
