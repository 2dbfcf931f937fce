"""The command `peer`: puts the commands together, and turns failures into one line and an exit code."""

import os
import sys
from functools import partial
from importlib.metadata import version
from typing import Annotated, TypeVar

import typer

from peer.cli import (
    dashboard,
    doctor,
    evaluate,
    events,
    explain,
    export,
    init,
    inspect,
    limits,
    pause,
    plan,
    sample,
    start,
    swarm,
    top,
)
from peer.cli.words import Command, Commands
from peer.errors import Exit, PeerError

E = TypeVar("E", bound=BaseException)

app = typer.Typer(
    name="peer",
    cls=Commands,
    help="Train one language model together with strangers: no server, no leader, no barrier.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
command = partial(app.command, cls=Command)
command()(swarm.swarm)
command()(start.start)
command()(init.init)
command("id")(inspect.show_id)
command()(inspect.status)
command()(top.top)
command()(events.events)
command()(pause.pause)
command()(pause.resume)
command()(pause.finish)
command()(limits.limits)
command()(inspect.stop)
command()(doctor.doctor)
command()(plan.plan)
command()(explain.explain)
command()(export.export)
command()(evaluate.evaluate)
command()(sample.sample)
command()(dashboard.dashboard)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"peer {version('murmuration-peer')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train one language model together with strangers: no server, no leader, no barrier."""


def run() -> None:
    """Run the command line; the process ends with a number from the catalogue in `peer.errors`."""
    try:
        # By this name, however it was started: completion finds its variable by it.
        app(prog_name="peer")
    except BaseException as error:
        if find(error, KeyboardInterrupt):
            sys.exit(Exit.INTERRUPTED)
        mendable = find(error, PeerError)
        if mendable is None:
            raise
        print(f"peer: {mendable}", file=sys.stderr)
        sys.exit(mendable.code)
    finally:
        _flush()


def _flush() -> None:
    """Write what is left to write, if anybody still reads it: `peer limits | head -3` does not."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def find(error: BaseException, kind: type[E]) -> E | None:
    """Return the first error of a kind, out of however many nurseries it came through."""
    if isinstance(error, kind):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((found for inner in error.exceptions if (found := find(inner, kind))), None)
    return None
