"""`peer start`: what its options mean, and how a person's mistakes end it."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from peer.cli.main import app
from peer.daemon.settings import Settings
from protocol.stability import allowed_beta


@pytest.fixture
def parse(monkeypatch):
    """Return the settings with which a command line would run the daemon."""
    given = []

    async def run_daemon(settings):
        given.append(settings)

    monkeypatch.setattr("peer.daemon.supervisor.run_daemon", run_daemon)

    def parse(*arguments):
        done = CliRunner().invoke(app, ["start", *arguments])
        assert done.exit_code == 0, done.output
        return given.pop()

    return parse


def test_without_options_nothing_is_asked_of_the_daemon(parse, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert parse() == Settings(home=Path("/home/me/.murmuration"))


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ("--run run.toml", {"run_file": Path("run.toml")}),
        ("--bootstrap /a --bootstrap /b", {"bootstraps": ("/a", "/b")}),
        ("--listen /a --listen /b", {"listen": ("/a", "/b")}),
        ("--announce-loopback", {"announce_loopback": True}),
        ("--bulk-port 4002", {"bulk_port": 4002}),
        ("--upload-limit 20Mbit", {"upload_limit": 2.5e6}),
        ("--download-limit 1.5MB/s", {"download_limit": 1.5e6}),
        ("--device cuda", {"device": "cuda"}),
        ("--device cuda:1", {"device": "cuda:1"}),
        ("--steps 300", {"stop_at": 300}),
        ("--shard 0", {"shard": 0}),
        ("--data text --data b", {"data_paths": (Path("text"), Path("b"))}),
        ("--tokenizer tokens.json", {"tokenizer_path": Path("tokens.json")}),
        ("--metrics-port 0", {"metrics_port": 0}),
        ("--log-format json", {"log_format": "json"}),
        ("--stop-on-eof", {"stop_on_eof": True}),
    ],
)
def test_each_option_asks_for_one_thing(parse, arguments, asked):
    assert parse("--home", "/h", *arguments.split()) == Settings(home=Path("/h"), **asked)


# ---- mistakes, as a person meets them


@pytest.fixture
def start(tmp_path):
    """Run `peer start` to its end; return its exit code and what it said."""

    def start(*arguments):
        command = [sys.executable, "-m", "peer", "start", "--home", str(tmp_path / "home"), *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert "exceptiongroup" not in done.stderr.lower()
        return done.returncode, done.stderr

    return start


def test_a_mistake_in_the_run_file_is_named_with_its_line_its_value_and_what_is_allowed(start, tmp_path):
    (tmp_path / "run.toml").write_text(
        '[inner]\nbatch = 0\n\n[outer]\npreset = "noloco"\nbetta = 1.0\nevery = "often"\n'
    )
    code, said = start("--run", str(tmp_path / "run.toml"))
    assert code == 10
    lines = said.splitlines()
    assert "run.toml:2: inner.batch = 0 must be" in lines[0]
    assert "run.toml:6: outer.betta is not a key of [outer]; did you mean beta?" in lines[1]
    assert 'run.toml:7: outer.every = "often" must be' in lines[2]
    assert not (tmp_path / "home").exists()


def test_an_outer_rule_that_would_diverge_is_refused_with_the_range_and_the_reason(start, tmp_path):
    alpha, mixes = 0.5, 1
    _, high = allowed_beta("heavy_ball", mixed_momentum=False, alpha=alpha, mixes=mixes)
    (tmp_path / "run.toml").write_text(
        f'[outer]\npreset = "noloco"\nalpha = {alpha}\nmixes = {mixes}\nbeta = {high + 0.1}\n'
    )
    code, said = start("--run", str(tmp_path / "run.toml"))
    assert code == 10
    assert f"run.toml:5: outer.beta = {high + 0.1} must be above 0 and below {high:.3g}" in said
    assert "the distance between peers grows without bound" in said


@pytest.mark.parametrize("address", ["nonsense", "/ip4/198.51.100.7/tcp/1"])
def test_an_address_that_cannot_be_listened_on_is_named(start, address):
    code, said = start("--listen", address)
    assert code == 21
    assert address in said
    assert len(said.splitlines()) == 1


def test_a_port_that_another_program_has_is_named(start):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, said = start("--listen", f"/ip4/127.0.0.1/tcp/{port}")
    assert code == 21
    assert f"/ip4/127.0.0.1/tcp/{port}" in said
    assert "Stop the program that holds this port" in said


def test_a_metrics_port_that_is_taken_ends_it_with_one_line_and_founds_no_run(start, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, said = start("--listen", "/ip4/127.0.0.1/tcp/0", "--metrics-port", str(port))
    assert code == 21
    (line,) = re.findall(r"^peer: .*$", said, re.MULTILINE)
    assert f"Cannot serve metrics on 127.0.0.1:{port}" in line
    assert "Choose a free port" in line
    assert (tmp_path / "home/identity.key").exists()
    assert not (tmp_path / "home/manifest").exists()


def test_a_file_in_the_homes_place_is_named(start, tmp_path):
    (tmp_path / "home").write_text("")
    code, said = start()
    assert code == 31
    assert said.startswith(f"peer: Cannot use {tmp_path / 'home'}: ")


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [
        ("identity.key", 33, "identity.key is damaged"),
        ("events.log/x", 31, "Cannot use"),
    ],
)
def test_damage_in_the_home_is_named(start, tmp_path, file, code, words):
    (tmp_path / "home" / file).parent.mkdir(parents=True)
    (tmp_path / "home" / file).write_text("damaged")
    ended, said = start("--listen", "/ip4/127.0.0.1/tcp/0")
    assert ended == code
    assert words in said
