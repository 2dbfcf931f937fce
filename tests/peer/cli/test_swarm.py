"""`peer swarm`: what its options mean."""

from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from peer.cli.main import app
from peer.cli.swarm import Codec, Preset
from peer.errors import Exit, HomeError, RunFileError, UsageError
from peer.local.run import Order
from protocol.manifest import CodecName
from protocol.presets import PRESETS


@pytest.fixture
def parse(monkeypatch):
    """Return the order that a command line would give."""
    given = []
    monkeypatch.setattr("peer.local.run.run_swarm", lambda order, as_json: given.append((order, as_json)))

    def parse(*arguments):
        done = CliRunner().invoke(app, ["swarm", *arguments])
        assert done.exit_code == 0, done.output
        return given.pop()

    return parse


USUAL = {"peers": 4, "steps": 200, "preset": None, "codec": None, "run_file": None, "folder": None}


def test_without_options_it_is_the_readmes_swarm(parse):
    assert parse() == (Order(**USUAL), False)
    assert parse("--peers", "4", "--steps", "200", "--json") == (Order(**USUAL), True)


def test_each_option_asks_for_one_thing(parse, tmp_path):
    order, _ = parse("--peers", "2", "--preset", "gossip", "--codec", "bf16", "--folder", str(tmp_path))
    assert order == Order(**{**USUAL, "peers": 2, "preset": "gossip", "codec": "bf16", "folder": tmp_path})
    order, _ = parse("--weights", "base.safetensors")
    assert order == Order(**USUAL, weights=Path("base.safetensors"))
    order, _ = parse("--run", str(tmp_path / "run.toml"))
    assert order == Order(**{**USUAL, "run_file": tmp_path / "run.toml"})


def test_it_offers_every_preset_and_every_codec_of_a_manifest():
    assert {preset.value for preset in Preset} == set(PRESETS)
    assert {codec.value for codec in Codec} == set(get_args(CodecName))


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["swarm", *arguments]).exception


@pytest.mark.parametrize("option", [("--preset", "gossip"), ("--codec", "fp32"), ("--weights", "w")])
def test_a_run_file_and_an_option_that_it_holds_conflict_before_anything_is_made(invoke, tmp_path, option):
    (tmp_path / "run.toml").write_text("")
    error = invoke("--run", "run.toml", *option)
    assert isinstance(error, UsageError)
    assert error.code == Exit.USAGE
    assert [path.name for path in tmp_path.iterdir()] == ["run.toml"]


def test_a_mistake_in_the_run_file_is_found_before_anything_is_made(invoke, tmp_path):
    (tmp_path / "run.toml").write_text("[inner]\nbatch = 0\n")
    error = invoke("--run", "run.toml")
    assert isinstance(error, RunFileError)
    assert "run.toml:2: inner.batch = 0" in str(error)
    assert [path.name for path in tmp_path.iterdir()] == ["run.toml"]


def test_a_folder_that_holds_something_is_left_alone(invoke, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").touch()
    error = invoke("--folder", "mine")
    assert isinstance(error, UsageError)
    assert "mine is not empty" in str(error)


def test_a_file_is_no_folder(invoke, tmp_path):
    (tmp_path / "mine").touch()
    error = invoke("--folder", "mine")
    assert isinstance(error, HomeError)
    assert "Cannot use mine" in str(error)
