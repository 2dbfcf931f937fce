"""`peer doctor`: what keeps a peer from training with others, before it joins."""

import sys
from typing import Annotated

import msgspec
import trio
import typer

from peer.cli.options import AsJson, Home, TrainDevice
from peer.daemon.doctor.findings import Finding
from peer.daemon.settings import Settings
from peer.errors import Exit
from peer.paths import DEFAULT_HOME


def doctor(
    home: Home = DEFAULT_HOME,
    bootstrap: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDR", help="A peer of the run, which tells whether it can reach this one."),
    ] = None,
    listen: Annotated[
        list[str] | None, typer.Option(metavar="ADDR", help="Where the peer would listen; repeatable.")
    ] = None,
    announce: Annotated[
        list[str] | None, typer.Option(metavar="ADDR", help="What it would announce; repeatable.")
    ] = None,
    device: TrainDevice = "auto",
    upnp: Annotated[bool, typer.Option(help="Ask the router for a port, and give it back.")] = True,
    as_json: AsJson = False,
) -> None:
    """Say what keeps a peer from training, and how to mend it.

    It looks at clock, disk, device, port, reach, router, bandwidth, DHT and manifest.
    It joins nothing and changes nothing. The exit code is 60 where something keeps the peer from training.

    Example: peer doctor --bootstrap /ip4/203.0.113.7/tcp/4001/p2p/12D3KooW...
    """
    from peer.daemon.doctor.examine import examine

    settings = Settings(
        home=home,
        bootstraps=tuple(bootstrap or ()),
        listen=tuple(listen or ()),
        announce=tuple(announce or ()),
        device=device,
        upnp=upnp,
    )
    report = trio.run(examine, settings)
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        for finding in report.findings:
            print(_lines(finding))
    if not report.healthy:
        raise typer.Exit(Exit.DOCTOR_FOUND)


def _lines(finding: Finding) -> str:
    number = "" if finding.number is None else str(finding.number.value)
    lines = [f"{finding.level:<8}{number:>4}  {finding.check:<10} {finding.said}"]
    margin = " " * 25
    if finding.number is not None:
        lines += [
            f"{margin}why: {finding.cause}",
            f"{margin}do:  {finding.mend}",
            f"{margin}see: peer explain {finding.number.value}",
        ]
    return "\n".join(lines)
