"""Reads docker/compose.yaml as far as tests want to know it, without a Docker."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker" / "compose.yaml"
FOUNDER = "12D3KooWNF6CzrAmrNM8XFWqWNjYGxUJSygZxkoPpNzRNmtCKFqm"

# What the services' scripts call, as far as it matters here: each says what it was asked.
_PROGRAMS = {
    "peer": f'#!/bin/sh\nif [ "$1" = id ]; then echo {FOUNDER}; else printf "%s\\n" "$@"; fi\n',
    "getent": "#!/bin/sh\necho '192.0.2.1 STREAM switch'\necho '192.0.2.1 DGRAM'\n",
}


@dataclass(frozen=True, slots=True)
class Service:
    """One service, with its anchors put in."""

    name: str
    is_: dict[str, Any]

    @property
    def ours(self) -> bool:
        """Whether it runs our image."""
        return bool(self.is_["image"] == "murmuration")

    @property
    def port(self) -> int:
        """Where its peer listens."""
        return int(self.is_["environment"].get("PORT", 4001))

    def peer_arguments(self, folder: Path) -> list[str]:
        """Run its script, in a folder of a test, where `peer` is something that tells its arguments."""
        programs, shared = folder / "bin", folder / "swarm"
        programs.mkdir()
        shared.mkdir()
        for name, text in _PROGRAMS.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        (shared / "founder").write_text(f"/dns4/switch/tcp/4001/p2p/{FOUNDER}\n")
        words = [*self.is_["entrypoint"], *self.is_["command"]]
        words = [word.replace("$$", "$").replace("/run/swarm", str(shared)) for word in words]
        told = {**self.is_["environment"], "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(words, env=told, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


def read() -> dict[str, Any]:
    """Return the file."""
    return dict(yaml.safe_load(COMPOSE.read_text()))


def services() -> dict[str, Service]:
    """Return all services."""
    return {name: Service(name, is_) for name, is_ in read()["services"].items()}


def peers() -> list[Service]:
    """Return those that are peers."""
    return [each for each in services().values() if each.ours and "environment" in each.is_]
