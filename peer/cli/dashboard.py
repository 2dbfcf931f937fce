"""`peer dashboard`: the peers of this machine in Prometheus and Grafana."""

from pathlib import Path
from typing import Annotated

import typer

from peer.paths import expand


def dashboard(
    folder: Annotated[
        Path,
        typer.Option(
            metavar="DIR", callback=expand, help="Where configuration goes, and what both programs remember."
        ),
    ] = Path("~/.murmuration-dashboard"),
    prometheus_port: Annotated[int, typer.Option(min=1, max=65535, help="On loopback.")] = 9090,
    grafana_port: Annotated[int, typer.Option(min=1, max=65535, help="On loopback.")] = 3000,
) -> None:
    """Show this machine's peers in Prometheus and Grafana until Ctrl-C: as installed, or in containers.

    Example: peer dashboard
    """
    from peer.local.dashboard.run import run_dashboard

    run_dashboard(folder, prometheus_port, grafana_port)
