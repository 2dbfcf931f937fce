"""`peer pause`, `peer resume`, `peer finish`: make room, go on, and leave without haste."""

from typing import Annotated

import typer

from peer.cli.inspect import print_json
from peer.cli.options import AsJson, Home
from peer.daemon.client import FINISHING, ControlClient
from peer.daemon.last_status import read_last_status
from peer.daemon.runtime import control_socket
from peer.errors import UsageError
from peer.paths import DEFAULT_HOME
from peer.telemetry.format import printable
from protocol.control import Status

LONGEST_REASON = 200


def pause(
    home: Home = DEFAULT_HOME,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who wonder later.")] = "",
    as_json: AsJson = False,
) -> None:
    """Stop training for a while; `peer resume` goes on.

    The peer stays, and keeps all it has. The pause outlives a restart.

    Example: peer pause --reason "rendering until six"
    """
    if len(reason) > LONGEST_REASON:
        raise UsageError(f"The reason has {len(reason)} characters", f"Use at most {LONGEST_REASON}")
    with ControlClient(control_socket(home)) as client:
        _tell(client.pause(reason), as_json=as_json)


def resume(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Train again after `peer pause`. The governor's own pauses end by themselves.

    Example: peer resume
    """
    with ControlClient(control_socket(home)) as client:
        _tell(client.resume(), as_json=as_json)


def finish(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """End a running daemon without haste. First the exchange under way ends and a checkpoint is written.

    Example: peer finish
    """
    with ControlClient(control_socket(home)) as client:
        client.finish()
        client.wait_until_gone(FINISHING)
    told = read_last_status(home)
    if as_json:
        print_json(told)
    else:
        print("finished" + (f" at step {told.inner_step}" if told else ""))


def _tell(told: Status, *, as_json: bool) -> None:
    if as_json:
        print_json(told)
    else:
        why = f": {printable(told.pause.reason)}" if told.pause is not None else ""
        print(f"{told.state}{why}")
