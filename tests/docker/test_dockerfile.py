"""The Dockerfile, without building it: each kind of device gets the torch that is made for it."""

import os
import re
import subprocess
import tomllib

import pytest

from tests.docker import engine
from tests.docker.compose_file import ROOT, services

PATH = ROOT / "docker" / "Dockerfile"
TEXT = PATH.read_text()
PAGE = (ROOT / "docs" / "how-to" / "run-a-swarm.md").read_text()
INDEX = "https://download.pytorch.org/whl/"

# What the build calls pip: it says where it was told to look, and for what.
_PIP = '#!/bin/sh\necho "${PIP_INDEX_URL:-no} ${PIP_EXTRA_INDEX_URL:-no} $*"\n'


def _pip_calls(folder, index):
    """Run those lines of the Dockerfile that install from an index, with a pip that only tells."""
    (folder / "pip").write_text(_PIP)
    (folder / "pip").chmod(0o755)
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (folder / "requirements.txt").write_text("\n".join(dependencies))
    told = []
    for script in re.findall(r"^RUN (?:--mount=\S+\s+(?:\\\n\s*)?)*(.+TORCH_INDEX.+)$", TEXT, re.MULTILINE):
        command = ["sh", "-ec", script.replace("/opt/peer/bin/pip", str(folder / "pip"))]
        env = {"PATH": os.environ["PATH"], "TORCH_INDEX": index}
        told.append(
            subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=True).stdout
        )
    return told


def _default():
    (found,) = re.findall(r"^ARG TORCH_INDEX=(\S+)$", TEXT, re.MULTILINE)
    return found


def _documented():
    return sorted(set(re.findall(r"--build-arg TORCH_INDEX=([^\s`]+)", TEXT + PAGE)))


def test_the_variants_are_a_cpu_and_two_kinds_of_gpu():
    kinds = {each.removeprefix(INDEX).rstrip("0123456789.") for each in [_default(), *_documented()]}
    assert kinds == {"cpu", "cu", "rocm"}


@pytest.mark.parametrize("index", [_default(), *_documented()])
def test_torch_comes_from_the_index_of_the_device_and_the_rest_may(index, tmp_path):
    torch, others = _pip_calls(tmp_path, index)
    first, second, *asked = torch.split()
    assert (first, second) == (index, "no"), "a torch of PyPI's might be newer"
    assert asked[-1].startswith("torch")
    assert "--no-deps" in asked, "what it requires is not in every index"
    first, second, *asked = others.split()
    assert (first, second) == ("no", index)
    assert asked[-2:] == ["-r", "requirements.txt"]


def test_the_index_is_declared_in_the_stage_that_asks_it():
    stage = re.split(r"^FROM .*$", TEXT, flags=re.MULTILINE)[1]
    assert stage.index("\nARG TORCH_INDEX=") < stage.index("$TORCH_INDEX")
    assert TEXT.count("$TORCH_INDEX") == stage.count("$TORCH_INDEX") == 2


def test_compose_builds_the_same_unless_it_is_told_an_index():
    arguments = services()["switch"].is_["build"]["args"]
    assert arguments == {"TORCH_INDEX": f"${{TORCH_INDEX:-{_default()}}}"}


def test_builders_find_nothing_to_warn_of():
    engine.skip_without_engine()
    if "--check" not in engine.need("buildx", "build", "--help"):
        pytest.skip("this buildx has no --check")
    for index in _documented():
        engine.need("build", "--check", "--file", str(PATH), "--build-arg", f"TORCH_INDEX={index}", ".")
