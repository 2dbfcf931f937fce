"""The commands that look at what was learned, on peers that have trained a plug-in's task."""

import re
import shutil

import msgspec
import pytest
import torch
from msgspec.structs import replace
from safetensors.torch import load_file
from typer.testing import CliRunner

from peer.cli.main import app
from peer.daemon.settings import Remembered, recall, remember
from peer.errors import ExportError, TaskError, UsageError
from peer.models.export import Exported
from peer.models.held_out import HeldOut
from peer.trainer.tasks.find import find
from peer.trainer.tasks.work import rehearse
from peer.trainer.work import Places, load
from protocol.foreign import Task
from tests import plugins
from tests.peer.models.homes import make_home, signed
from tests.peer.trainer import tiny


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """Two homes whose peers have trained the example's task; the plug-in is installed. To be read only."""
    folder = tmp_path_factory.mktemp("shapes")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder / "site")
        plugins.install(folder / "site", module="plugin_for_commands")
        here, settings = find("shapes"), {"width": 8}
        draft = signed(inner=replace(tiny.INNER, batch=16))
        task = Task(
            name="shapes",
            package=here.package,
            version=here.version,
            source=here.source,
            settings=settings,
            layout=rehearse(here, draft, settings),
        )
        run = replace(draft, task=task)
        for shard in range(2):
            work = load(run, Places(allowed_task="shapes"), shard)
            home = make_home(folder / "swarm" / f"peer-{shard}", run, shard, 40, work=work)
            remember(home, Remembered(allowed_task="shapes"))
        yield folder / "swarm"


def _invoke(*arguments):
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def _judged(*arguments):
    return msgspec.json.decode(_invoke("evaluate", *arguments, "--json"), type=HeldOut, strict=True)


def test_a_task_is_evaluated_by_its_own_measures(shapes):
    told = _judged("--home", shapes)
    assert told.task == "shapes"
    assert [(one.name, one.kind, one.inner_step) for one in told.models] == [
        ("peer-0", "replica", 40),
        ("peer-1", "replica", 40),
        ("their average", "average", None),
    ]
    assert all(one.loss < 1.0 and one.measures["accuracy"] > 0.5 for one in told.models)
    on, head, *rows = _invoke("evaluate", "--home", shapes).splitlines()
    assert on == "what the run holds out"
    assert head.split() == ["model", "step", "loss", "accuracy"]
    assert [row.split()[-1] for row in rows] == [f"{one.measures['accuracy']:.4f}" for one in told.models]


def test_the_average_is_exported_under_the_models_own_names(shapes, tmp_path):
    told = msgspec.json.decode(
        _invoke("export", tmp_path / "model", "--home", shapes, "--json"), type=Exported, strict=True
    )
    assert set(told.files) == {"README.md", "model.safetensors", "murmuration.json"}
    card = (tmp_path / "model" / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    built = {}
    exec(code.replace("path/to/this/folder", str(tmp_path / "model")), built)
    weights = load_file(tmp_path / "model" / "model.safetensors")
    found = dict(built["model"].named_parameters())
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())
    assert "the average of 2 replicas" in card
    assert "how to load it: " in _invoke("export", tmp_path / "again", "--home", shapes)


def test_what_needs_text_is_refused_in_one_line(shapes, tmp_path):
    (tmp_path / "text").write_text("Once upon a time")
    for arguments in (["sample", "Once"], ["evaluate", tmp_path / "text"]):
        with pytest.raises(UsageError, match="trains the task shapes, which neither reads nor writes text"):
            _invoke(*arguments, "--home", shapes)
    with pytest.raises(ExportError, match="GGUF cannot hold the model of the task shapes"):
        _invoke("export", tmp_path / "model", "--gguf", "--home", shapes)


def test_a_home_that_never_allowed_the_task_runs_none_of_it(shapes, tmp_path):
    home = shutil.copytree(shapes / "peer-0", tmp_path / "home")
    remember(home, replace(recall(home), allowed_task=None))
    with pytest.raises(TaskError, match="not allowed"):
        _judged("--home", home)
    _invoke("export", tmp_path / "model", "--home", home)


def test_a_language_model_is_evaluated_on_what_its_run_holds_out(swarm):
    told = _judged("--home", swarm)
    assert told.task is None
    assert [one.measures for one in told.models] == [{}] * 4
    work = tiny.work(signed())
    assert all(one.loss < work.held_out_loss() for one in told.models)
    assert "nats a token" in _invoke("evaluate", "--home", swarm)


def test_an_export_has_nothing_held_out(tmp_path):
    with pytest.raises(UsageError, match=r"An exported model has nothing held out\. Name a text file"):
        _invoke("evaluate", "--model", tmp_path)
