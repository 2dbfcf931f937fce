"""How to start Prometheus and Grafana here: as they are installed, or in a container."""

import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from peer.local.dashboard.files import INTERVAL

PROMETHEUS_IMAGE = "prom/prometheus:v2.53.5"
GRAFANA_IMAGE = "grafana/grafana:11.6.4"

GRAFANA_HOMES = (Path("/usr/share/grafana"), Path("/opt/homebrew/opt/grafana/share/grafana"))
"""Where packages put Grafana's own files."""

Which = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Program:
    """One server that is to be started.

    Attributes:
        url: where a person opens it.
        ready: what it answers with 200 once it works.
        environment: beside ours.
        removal: ends its container and forgets it; empty where it runs in none.
    """

    name: str
    command: tuple[str, ...]
    url: str
    ready: str
    environment: dict[str, str] = field(default_factory=dict)
    removal: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Start:
    command: tuple[str, ...]
    removal: tuple[str, ...] = ()


def prometheus(folder: Path, port: int, which: Which = shutil.which) -> Program | None:
    """Return how to start Prometheus; None where there is no way."""
    start = _installed(which, "prometheus") or _contained(which, folder, PROMETHEUS_IMAGE, {})
    if start is None:
        return None
    url = f"http://127.0.0.1:{port}"
    return Program(
        "Prometheus",
        (
            *start.command,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'prometheus-data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ),
        url,
        f"{url}/-/ready",
        removal=start.removal,
    )


def grafana(folder: Path, port: int, source: str, which: Which = shutil.which) -> Program | None:
    """Return how to start Grafana on the Prometheus at `source`; None where there is no way."""
    environment = _grafana_settings(folder, port, source)
    start = _installed_grafana(which) or _contained(which, folder, GRAFANA_IMAGE, environment)
    if start is None:
        return None
    url = f"http://127.0.0.1:{port}"
    return Program("Grafana", start.command, url, f"{url}/api/health", environment, start.removal)


def _grafana_settings(folder: Path, port: int, source: str) -> dict[str, str]:
    return {
        "PROMETHEUS_URL": source,
        "PROMETHEUS_INTERVAL": INTERVAL,
        "DASHBOARDS": str(folder / "dashboards"),
        "GF_PATHS_DATA": str(folder / "grafana-data"),
        "GF_PATHS_LOGS": str(folder / "grafana-data" / "log"),
        "GF_PATHS_PLUGINS": str(folder / "grafana-data" / "plugins"),
        "GF_PATHS_PROVISIONING": str(folder / "provisioning"),
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": str(folder / "dashboards" / "swarm.json"),
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    }


def _installed(which: Which, name: str) -> _Start | None:
    found = which(name)
    return None if found is None else _Start((found,))


def _installed_grafana(which: Which) -> _Start | None:
    """Return Grafana's command; older packages have a program for each of its parts."""
    home = next((str(each) for each in GRAFANA_HOMES if each.is_dir()), None)
    if home is None:
        return None
    if found := which("grafana"):
        return _Start((found, "server", "--homepath", home))
    found = which("grafana-server")
    return None if found is None else _Start((found, "--homepath", home))


def _contained(which: Which, folder: Path, image: str, environment: dict[str, str]) -> _Start | None:
    """Return a container's start, on the host's network: that is where peers serve their metrics.

    It has a name of its own, for it outlives the command that started it where that has to be killed.
    """
    engine = which("docker") or which("podman")
    if engine is None:
        return None
    settings = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    name = f"murmuration-dashboard-{secrets.token_hex(4)}"
    return _Start(
        (
            *(engine, "run", "--rm", "--name", name),
            *("--network", "host", "--user", f"{os.getuid()}:{os.getgid()}"),
            *("--volume", f"{folder}:{folder}", *settings, image),
        ),
        (engine, "rm", "--force", name),
    )
