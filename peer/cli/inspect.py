"""`peer id`, `peer status`, `peer stop`: look at a peer, and end it."""

import sys

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from peer.cli.options import AsJson, Home
from peer.daemon.client import ControlClient
from peer.daemon.home import read_identity
from peer.daemon.last_status import read_last_status
from peer.daemon.runtime import control_socket
from peer.paths import DEFAULT_HOME
from peer.telemetry.format import counted, format_bytes, format_loss, format_seconds, progress_line
from protocol.control import Status


def show_id(home: Home = DEFAULT_HOME) -> None:
    """Print the PeerID of a home; the home is made if it is new.

    Example: peer id --home ~/.murmuration
    """
    print(read_identity(home).peer_id)


def status(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Show how the running daemon of a home is.

    Example: peer status --json
    """
    with ControlClient(control_socket(home)) as client:
        told = client.status()
    if as_json:
        print_json(told)
    else:
        # Lines are not folded here, so that an address can be copied, and found by grep.
        Console().print(_text(told), soft_wrap=True)
        if told.addresses:
            print(f"\nanother peer joins with:\npeer start --bootstrap {told.addresses[0]}")


def stop(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """End a running daemon. It says goodbye and writes a checkpoint.

    Example: peer stop
    """
    with ControlClient(control_socket(home)) as client:
        client.stop()
        client.wait_until_gone()
    if as_json:
        print_json(read_last_status(home))
    else:
        print("stopped")


def print_json(told: Status | None) -> None:
    """Print a status as one line of JSON; null where there is none."""
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")


def _text(told: Status) -> Text:
    alone = told.alone_seconds > 0
    view = f"{told.peers_in_view} of a swarm of about {told.swarm_size}"
    if alone:
        view = f"[red]ALONE for {format_seconds(told.alone_seconds)}[/red]"
    rows = {
        "peer": told.peer_id,
        "run": f"{told.run_name} ({told.run_id[:12]}), {told.preset}, {told.codec}",
        "state": state_of(told),
        **_limits(told),
        **_joining(told),
        "device": _device(told),
        "step": f"{told.inner_step} (outer step {told.outer_step}, {told.tokens:,} {counted(told.task)})",
        "loss": "-" if told.loss is None else format_loss(told.loss, told.task),
        "pace": f"{told.tokens_per_second:,.0f} {counted(told.task)}/s",
        "peers in view": view,
        "exchanges": f"{told.exchanges} mixed, {told.skips} skipped",
        "traffic": f"{format_bytes(told.bytes_in)} in, {format_bytes(told.bytes_out)} out",
        "trainer restarts": str(told.trainer_restarts),
        "reached": _reached(told),
        "addresses": "\n".join(told.addresses) or "-",
        "metrics": told.metrics or "-",
    }
    margin = max(map(len, rows)) + 2
    below = "\n" + " " * margin
    lines = (f"[bold]{name:<{margin}}[/bold]" + value.replace("\n", below) for name, value in rows.items())
    return Text.from_markup("\n".join(lines))


def _device(told: Status) -> str:
    name = f" ({escape(told.device_name)})" if told.device_name else ""
    kind = "examples" if told.task else "sequences"
    fit = f", {told.micro_batch} {kind} at a time" if told.micro_batch else ""
    return f"{told.device}{name}{fit}"


def state_of(told: Status) -> str:
    """Say how a daemon is, and why where it is paused: every reason, as each must go away."""
    if told.pause is None:
        if told.behind is not None:
            return f"{told.state}: {told.behind:,} outer steps behind"
        stayed = f"\nleft behind by others: {escape(told.stayed_behind)}" if told.stayed_behind else ""
        return told.state + stayed
    reasons = [pause.reason for pause in told.pauses] or [told.pause.reason]
    return "\n".join(f"{told.state}: {escape(reason)}" for reason in reasons)


def _limits(told: Status) -> dict[str, str]:
    rows = {}
    if told.unwatched:
        rows["unwatched"] = f"[yellow]{escape(chr(10).join(told.unwatched))}[/yellow]"
    if told.month is not None and told.month.limit is not None:
        used, most = format_bytes(told.month.used), format_bytes(told.month.limit)
        rows["this month"] = f"{used} of {most} in {told.month.name}"
    return rows


def _reached(told: Status) -> str:
    if told.reachable:
        return "others can dial this peer"
    if told.reachable is None:
        return "nobody has tried yet"
    router = f" (router: {told.nat})" if "port" in told.nat else ""
    ways = f"{told.circuits} ways through relays; see `peer doctor`"
    return f"[red]nobody can dial this peer[/red]{router}; {ways}"


def _joining(told: Status) -> dict[str, str]:
    now = told.joining
    if now is None:
        return {}
    line = progress_line(now.received, now.size, now.rate, now.seconds_left)
    return {"joining": f"{line}; from {now.donors} donors"}
