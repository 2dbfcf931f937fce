"""Where this host keeps the files of a run."""

import hashlib
from pathlib import Path

import pytest
from msgspec.structs import replace

from peer.config.run_file import read_run_file
from peer.daemon.founding import local_paths
from peer.daemon.settings import Settings
from peer.errors import (
    DataError,
)
from protocol.manifest import Data, sign
from tests.peer.daemon.founding.place import FOUNDER, MANIFEST, OTHER


@pytest.mark.anyio
async def test_data_that_the_run_does_not_read_is_refused_before_there_is_a_run(place, home, tmp_path):
    (tmp_path / "mine").write_bytes(b"to be or not to be")
    async with place() as here:
        with pytest.raises(DataError, match="the run 'default' reads nothing of this host"):
            await here.settle(data_paths=(tmp_path / "mine",))
        assert home.read_manifest() is None
        address = here.holder(OTHER)
        with pytest.raises(DataError, match="the run 'theirs' reads nothing of this host"):
            await here.settle(bootstraps=(address,), data_paths=(tmp_path / "mine",))


@pytest.mark.anyio
async def test_data_that_is_not_there_is_refused_before_the_run_is_joined(place, home, tmp_path):
    text = b"to be or not to be"
    theirs = replace(MANIFEST, data=Data(source="text", sha256=hashlib.sha256(text).digest()))
    async with place() as here:
        address = here.holder(OTHER, sign(theirs, FOUNDER))
        with pytest.raises(DataError, match="No data is at /nowhere"):
            await here.settle(bootstraps=(address,), data_paths=(Path("/nowhere"),))
        with pytest.raises(DataError, match="the run trains on a file, and none was given"):
            await here.settle(bootstraps=(address,))
        (tmp_path / "mine").write_bytes(b"to be")
        with pytest.raises(DataError, match=f"data at {tmp_path / 'mine'} has the hash .* manifest names"):
            await here.settle(bootstraps=(address,), data_paths=(tmp_path / "mine",))
        assert home.read_manifest() is None
        (tmp_path / "mine").write_bytes(text)
        with pytest.raises(DataError, match="--data names b, and the run 'theirs' reads only 1 of this host"):
            await here.settle(bootstraps=(address,), data_paths=(tmp_path / "mine", Path("b")))
        await here.settle(bootstraps=(address,), data_paths=(tmp_path / "mine",))
        assert home.read_manifest() is not None


def test_the_command_line_comes_before_the_run_file(run_file, tmp_path, monkeypatch):
    wanted = read_run_file(run_file('[data]\nsource = "text"\npath = "text"\n'))
    monkeypatch.chdir(tmp_path)
    given = Settings(tmp_path, data_paths=(tmp_path / "mine",))
    assert local_paths(given, wanted) == ((str(tmp_path / "mine"),), None)
    assert local_paths(Settings(tmp_path), wanted) == ((str(tmp_path / "text"),), None)
    assert local_paths(Settings(tmp_path), None) == ((), None)


def test_paths_hold_in_any_folder_as_the_home_remembers_them(run_file, tmp_path, monkeypatch):
    run_file('[data]\nsource = "text"\npath = "text"\n')
    monkeypatch.chdir(tmp_path)
    wanted = read_run_file(Path("run.toml"))
    settings = Settings(tmp_path, tokenizer_path=Path("tokens.json"))
    assert local_paths(settings, wanted) == ((str(tmp_path / "text"),), tmp_path / "tokens.json")
