from pathlib import Path

import pytest
from typer.testing import CliRunner

from peer.cli.main import app
from peer.config.run_file import NO_FOUNDER, read_run_file
from peer.errors import Exit, UsageError
from protocol.manifest import Manifest


@pytest.fixture
def init(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["init", *arguments])


@pytest.mark.parametrize("name", ["run.toml", "mine.toml"])
def test_it_writes_the_default_run_and_says_how_to_found_it(init, name):
    done = init() if name == "run.toml" else init(name)
    assert done.exit_code == 0
    assert done.output == f"{name} written. Found a run from it: peer start --run {name}\n"
    assert read_run_file(Path(name)).draft == Manifest(founder=NO_FOUNDER)


def test_a_file_that_is_there_stays_as_it_is(init):
    Path("run.toml").write_text("mine")
    done = init()
    assert isinstance(done.exception, UsageError)
    assert done.exception.code == Exit.USAGE
    assert "--force" in str(done.exception)
    assert Path("run.toml").read_text() == "mine"


def test_it_is_written_over_where_that_is_asked_for(init):
    Path("run.toml").write_text("mine\n" * 10_000)
    assert init("--force").exit_code == 0
    assert read_run_file(Path("run.toml")).draft == Manifest(founder=NO_FOUNDER)


@pytest.mark.parametrize("where", ["nowhere/run.toml", "file/run.toml", "folder"])
def test_a_place_that_cannot_be_written_is_named(init, where):
    Path("file").write_text("")
    Path("folder").mkdir()
    done = init(where, "--force")
    assert isinstance(done.exception, UsageError)
    assert str(done.exception).startswith(f"Cannot write {where} (")
