"""`peer top`: watch a running daemon."""

from typing import Annotated

import typer

from peer.cli.options import AsJson, Home
from peer.paths import DEFAULT_HOME


def top(
    home: Home = DEFAULT_HOME,
    plain: Annotated[
        bool, typer.Option("--plain", help="Lines of text when something changes: for screen readers, pipes.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Show how it is now, and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Watch a running daemon. Loss, pace, partners, links, transfers, health and events; q quits.

    Example: peer top --home ~/.murmuration
    """
    from peer.watch.run import watch, watch_as_json, watch_once

    if as_json:
        watch_as_json(home)
    elif once:
        watch_once(home, plain=plain)
    else:
        watch(home, plain=plain)
