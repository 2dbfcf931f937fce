import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from peer.cli.main import app
from peer.daemon.home import Home
from peer.errors import UsageError


def _sample(*arguments):
    done = CliRunner().invoke(app, ["sample", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done


def test_the_text_begins_with_the_prompt_and_the_seed_decides_it(swarm):
    first, again, other = (
        _sample("Once upon", "--home", swarm, "--tokens", 80, "--seed", seed) for seed in (7, 7, 8)
    )
    assert first.stdout.startswith("Once upon")
    assert first.stdout == again.stdout != other.stdout
    assert first.stderr.startswith("the average of 3 replicas of default (")
    assert first.stderr.endswith("), inner step 8, seed 7\n")


def test_nothing_is_lost_between_streaming_and_the_end(swarm):
    arguments = ("Naïve", "--home", swarm / "peer-1", "--tokens", 80, "--seed", 3)
    assert _sample(*arguments).stdout == _sample(*arguments, "--no-stream").stdout


def test_programs_read_the_seed_and_write_the_same_again(swarm):
    told = json.loads(_sample("Once", "--home", swarm, "--tokens", 20, "--json").stdout)
    assert (told["prompt"], told["tokens"]) == ("Once", 20)
    again = _sample("Once", "--home", swarm, "--tokens", 20, "--seed", told["seed"], "--json").stdout
    assert json.loads(again) == told


def test_an_export_writes_as_its_replicas_do(swarm, tmp_path):
    CliRunner().invoke(app, ["export", str(tmp_path / "model"), "--home", str(swarm)])
    arguments = ("Once upon", "--tokens", 40, "--seed", 7)
    wanted = _sample(*arguments, "--home", swarm).stdout
    assert _sample(*arguments, "--model", tmp_path / "model").stdout == wanted


def test_a_daemon_in_the_home_is_no_hindrance(swarm):
    with Home.open(swarm / "peer-0"):
        assert _sample("A", "--home", swarm / "peer-0", "--tokens", 1).stdout.startswith("A")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [([""], "prompt is empty"), (["A", "--model", "x"], "two things")],
)
def test_mistakes_are_told(swarm, arguments, told):
    with pytest.raises(UsageError, match=told):
        _sample(*arguments, "--home", swarm)


def test_tokens_are_shown_as_they_come(swarm):
    """Whoever reads gets the first words long before the last: here, after them it stops reading."""
    command = ["sample", "Once upon", "--home", str(swarm), "--tokens", "1000000", "--seed", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "peer", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[3],
    ) as writer:
        assert writer.stdout.read(40).startswith(b"Once upon")
        assert writer.poll() is None
        writer.kill()


def test_a_prompt_that_is_no_unicode_is_no_failure(swarm):
    assert _sample("caf\udce9", "--home", swarm, "--tokens", 1).stdout[:4] == "caf\N{REPLACEMENT CHARACTER}"
