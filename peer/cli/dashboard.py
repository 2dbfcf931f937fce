"""`peer dashboard`: the peers of this machine in Prometheus and Grafana."""

from pathlib import Path
from typing import Annotated

import typer

from peer.cli.options import AsJson
from peer.paths import expand


def dashboard(
    folder: Annotated[
        Path,
        typer.Option(
            metavar="DIR", callback=expand, help="Where configuration goes, and what both programs remember."
        ),
    ] = Path("~/.murmuration-dashboard"),
    prometheus_port: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=65535, help="On loopback; default 9090, or a free one."),
    ] = None,
    grafana_port: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=65535, help="On loopback; default 3000, or a free one."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show this machine's peers in Prometheus and Grafana. As installed, or in containers; until Ctrl-C.

    Example: peer dashboard
    """
    from peer.local.dashboard.run import run_dashboard

    run_dashboard(folder, prometheus_port, grafana_port, as_json=as_json)
