import pytest
from typer.testing import CliRunner

from peer.cli.main import app
from peer.cli.options import device
from peer.errors import UsageError

_COMMANDS = ("start", "swarm", "doctor", "sample", "evaluate")


@pytest.mark.parametrize(
    "name", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:12", "cuda:0,cuda:3", "cpu,cpu"]
)
def test_a_device_is_taken_by_its_name(name):
    assert device(name) == name


def test_helps_tell_of_every_kind_of_device():
    told = {name: " ".join(CliRunner().invoke(app, [name, "--help"]).output.split()) for name in _COMMANDS}
    assert all("auto, cpu, mps, cuda" in each for each in told.values())
    assert "cpu,cpu" in told["start"]


@pytest.mark.parametrize(
    "name", ["", "gpu", "cuda:", "cuda:x", "cuda:1,2", "cuda:1,", "mps,mps", "CPU", "cpu:0"]
)
def test_what_is_no_device_is_refused_with_what_there_is(name):
    with pytest.raises(UsageError, match=r"Use auto, cpu, mps, cuda, cuda:1 for .*cpu,cpu"):
        device(name)
