"""The compose swarm on a real engine, from images that are there, and the Prometheus that reads it."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.prometheus_api import Api
from tests.docker import engine
from tests.docker.compose_file import COMPOSE, peers

STEADY = [each.name for each in peers() if "profiles" not in each.is_]
LOSSES = 'murmuration_loss_nats{job="murmuration"}'
FALL = 0.15
"""Nats: how fast it falls once Prometheus has seen every peer depends on the machine. Its noise is 0.03."""

_ADDRESS = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"


class Swarm:
    """One compose project, which nobody else's disturbs."""

    def __init__(self, folder: Path, project: str, changes: Mapping[str, Any] | None = None) -> None:
        """Prepare it, with a `folder` for itself; `changes` says what of which service is otherwise."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = str(free.getsockname()[1])
        self.api = Api(f"http://127.0.0.1:{self._port}")
        services = {"prometheus": {"image": engine.build_prometheus()}, **(changes or {})}
        override = folder / "override.yaml"
        override.write_text(yaml.safe_dump({"services": services}))
        files = ["--file", str(COMPOSE), "--file", str(override)]
        self._project = project
        self._compose = ["compose", "--project-name", project, *files]

    def __call__(self, *arguments: str) -> str:
        """Run a command of Compose's that has to go well, and return what it said."""
        return engine.need(*self._compose, *arguments, timeout=300, PROMETHEUS_PORT=self._port)

    def up(self, *services: str) -> None:
        """Start the peers that are always there, and others by name. Not Grafana, which few machines have."""
        self("up", "--detach", "--no-build", "switch", "prometheus", *STEADY, *services)

    def forget(self) -> None:
        """End whatever of it runs, and forget everything."""
        self("--profile", "chaos", "down", "--volumes", "--timeout", "5")

    def inspect(self, service: str, what: str) -> str:
        """Return what the engine tells of a service's container."""
        return engine.need("inspect", "--format", what, f"{self._project}-{service}-1").strip()

    def address(self, service: str) -> str:
        """Return where it stands in the project's network."""
        return self.inspect(service, _ADDRESS)

    def status(self, service: str) -> dict[str, Any]:
        """Return what `peer status` says there."""
        return dict(json.loads(self("exec", "-T", service, "peer", "status", "--json")))

    def log(self, service: str) -> str:
        """Return a peer's log of events, of all its lives; nothing while it is between two of them."""
        command = [*self._compose, "exec", "-T", service, "cat", "/home/peer/.murmuration/events.log"]
        done = engine.docker(*command, PROMETHEUS_PORT=self._port)
        return "" if done.returncode else done.stdout
