"""A run of a plug-in's task: only who has the same, and was told to, runs it."""

import pytest
from msgspec.structs import replace

from peer.daemon.settings import Remembered, remember
from peer.errors import (
    ManifestMismatchError,
    TaskError,
)
from peer.trainer.tasks.find import find
from protocol.foreign import Task
from protocol.layout import Layout
from protocol.manifest import Model, sign
from tests import plugins
from tests.peer.daemon.founding.place import FOUNDER, MANIFEST


@pytest.fixture
def tasked(tmp_path, monkeypatch):
    """A run of a task that is installed here, and whose import would be noticed."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    plugins.install(tmp_path / "site", f"open({str(tmp_path / 'imported')!r}, 'w')\n")
    here = find("shapes")
    task = Task(name="shapes", package=here.package, version="1.0", source=here.source, layout=Layout())
    return sign(replace(MANIFEST, model=Model(), task=task), FOUNDER)


@pytest.mark.anyio
async def test_a_newcomer_runs_no_task_that_it_was_not_told_to(place, home, tasked, tmp_path):
    async with place() as here:
        address = here.holder(FOUNDER, tasked)
        with pytest.raises(TaskError, match=r"the task shapes: code of the package murmuration-shapes 1\.0"):
            await here.settle(bootstraps=(address,))
        with pytest.raises(TaskError, match="not allowed"):
            await here.settle(bootstraps=(address,), task="another")
        assert home.read_manifest() is None
        assert (await here.settle(bootstraps=(address,), task="shapes")).sealed == tasked
        remember(home.path, Remembered(allowed_task="shapes"))
        assert (await here.settle()).sealed == tasked
    assert not (tmp_path / "imported").exists()


@pytest.mark.anyio
async def test_a_changed_plug_in_stops_a_peer_of_its_run(place, home, tasked, tmp_path):
    home.write_manifest(tasked)
    (tmp_path / "site").joinpath("other.txt").write_text("not of the plug-in")
    async with place() as here:
        await here.settle(task="shapes")
        for file in (tmp_path / "site").glob("*.py"):
            file.write_text("# changed")
        with pytest.raises(TaskError, match=r"task\.source: "):
            await here.settle(task="shapes")


@pytest.mark.anyio
async def test_a_run_file_names_a_task_and_so_allows_it(place, home, tasked, run_file):
    home.write_manifest(tasked)
    text = 'name = "theirs"\n[inner]\nbatch = 8\n[task]\nname = "shapes"\n'
    async with place() as here:
        assert (await here.settle(run_file=run_file(text))).sealed == tasked
        for change, said in [
            ("settings = {width = 8}\n", r"task\.settings: width = 8 here, none there"),
            ("", "task: none here, murmuration-shapes 1.0 there"),
        ]:
            changed = text + change if change else text.partition("[task]")[0]
            with pytest.raises(ManifestMismatchError, match=said):
                await here.settle(run_file=run_file(changed))
