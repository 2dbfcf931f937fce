"""A real Docker engine, if there is one: what it has, and how images are built where packages are special."""

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest

from peer.local.dashboard.programs import PROMETHEUS_IMAGE
from tests.docker.compose_file import ROOT

BASE = "python:3.11-slim"
PROMETHEUS = "murmuration-test-prometheus"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


def docker(*arguments: str, timeout: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Docker's."""
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False,
        env={**os.environ, **environment}, cwd=ROOT,
    )  # fmt: skip


def need(*arguments: str, timeout: float = 60, **environment: str) -> str:
    """Run one that has to go well, and return what it said."""
    done = docker(*arguments, timeout=timeout, **environment)
    assert done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def missing() -> str | None:
    """Return why no swarm of containers can be had here; None where one can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    if docker("info").returncode:
        return "no Docker engine runs here"
    for plugin in ("compose", "buildx"):
        if docker(plugin, "version").returncode:
            return f"docker has no plug-in {plugin}"
    if docker("image", "inspect", BASE).returncode and docker("pull", BASE, timeout=600).returncode:
        return f"{BASE} is not here and cannot be fetched"
    return None


def skip_without_engine() -> None:
    """Skip the test, and say what is missing, where no swarm of containers can be had."""
    if reason := missing():
        pytest.skip(reason)


def build_image(folder: Path) -> None:
    """Build `murmuration` as this machine's pip reaches packages, in a folder of a test."""
    settings = _pip_settings()
    # What names files of this machine means nothing in a build.
    kept = {name: value for name, value in settings.items() if not any(map(_is_here, value.split()))}
    secrets = []
    if cert := settings.get("cert"):
        kept["cert"] = "/run/secrets/ca"
        secrets.append(f"id=ca,src={cert}")
    with _torch_index(settings, folder) as index:
        if index != TORCH_INDEX:
            trusted = index.split("/")[2].partition(":")[0]
            kept["trusted-host"] = f"{kept.get('trusted-host', '')} {trusted}".strip()
        lines = ["[global]", *(f"{name} = {value}" for name, value in kept.items())]
        (folder / "pip.conf").write_text("\n".join(lines) + "\n")
        secrets.append(f"id=pip,src={folder / 'pip.conf'}")
        handed = [part for secret in secrets for part in ("--secret", secret)]
        arguments = [
            "--file",
            "docker/Dockerfile",
            "--tag",
            "murmuration",
            "--build-arg",
            f"TORCH_INDEX={index}",
        ]
        need("build", *arguments, *handed, ".", timeout=1500)


def build_prometheus() -> str:
    """Return the image of a Prometheus: its makers' where it is or can be fetched, else Debian's package."""
    if not docker("image", "inspect", PROMETHEUS_IMAGE).returncode:
        return PROMETHEUS_IMAGE
    if not docker("pull", PROMETHEUS_IMAGE, timeout=600).returncode:
        return PROMETHEUS_IMAGE
    need("build", "--tag", PROMETHEUS, "tests/docker/prometheus", timeout=600)
    return PROMETHEUS


@contextmanager
def prometheus_by_its_name() -> Iterator[None]:
    """Let whoever starts the image of Prometheus's makers find one under its name."""
    image = build_prometheus()
    if image == PROMETHEUS_IMAGE:
        yield
        return
    need("tag", image, PROMETHEUS_IMAGE)
    try:
        yield
    finally:
        need("image", "rm", PROMETHEUS_IMAGE)


def _is_here(part: str) -> bool:
    return Path(part.removeprefix("file://")).exists()


def _pip_settings() -> dict[str, str]:
    command = [sys.executable, "-m", "pip", "config", "list"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return dict(re.findall(r"^[\w:]+\.([\w-]+)='(.*)'$", told, re.MULTILINE))


@contextmanager
def _torch_index(settings: dict[str, str], folder: Path) -> Iterator[str]:
    """Give where a build finds torch: PyTorch's index, or one of the wheel that pip finds on this machine."""
    wheel = next(
        (
            path
            for value in settings.values()
            for where in value.split()
            for path in Path(where).glob("torch-*+cpu-cp311-*.whl")
        ),
        None,
    )
    if wheel is None:
        yield TORCH_INDEX
        return
    (folder / "index" / "torch").mkdir(parents=True)
    (folder / "index" / "torch" / wheel.name).symlink_to(wheel)
    network = json.loads(need("network", "inspect", "bridge"))[0]["IPAM"]["Config"][0]
    # Not every engine says where the machine stands in it, but all take the first address.
    bridge = network.get("Gateway") or str(ip_network(network["Subnet"])[1])
    serve = functools.partial(_Quiet, directory=str(folder / "index"))
    with http.server.ThreadingHTTPServer((bridge, 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{bridge}:{server.server_port}"
        finally:
            server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
