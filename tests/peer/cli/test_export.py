"""`peer export`, and how homes and checkpoints are found, which `peer evaluate` and `peer sample` share."""

import json
import shutil

import msgspec
import pytest
from typer.testing import CliRunner

from peer.cli.main import app
from peer.daemon.home import Home
from peer.daemon.settings import Remembered, remember
from peer.errors import (
    BaseModelError,
    CheckpointError,
    ExportError,
    HomeError,
    ManifestInvalidError,
    PeerError,
    ReplicasDifferError,
)
from peer.models.export import Exported
from protocol.foreign import Lora
from tests.peer.models.homes import make_home, signed
from tests.peer.models.tuned import TEXT, train_run


@pytest.fixture
def export(tmp_path):
    """Run the command; the model goes to `model`, and standard output is returned."""

    def run(*arguments):
        done = CliRunner().invoke(app, ["export", str(tmp_path / "model"), *map(str, arguments)])
        if done.exception is not None:
            raise done.exception
        return done.stdout

    return run


def _homes(swarm):
    return [part for home in sorted(swarm.glob("peer-*")) for part in ("--home", home)]


def _told(output):
    return msgspec.json.decode(output, type=Exported, strict=True)


def test_a_swarms_folder_stands_for_its_homes(export, swarm, tmp_path):
    told = _told(export("--home", swarm, "--json"))
    assert [one.name for one in told.model.replicas] == ["peer-0", "peer-1", "peer-2"]
    assert told.path == str(tmp_path / "model")
    assert told.files.keys() == {file.name for file in (tmp_path / "model").iterdir()}
    again = _told(export(*_homes(swarm), "--json", "--force"))
    assert again == told


def test_people_read_the_spread(export, swarm):
    shown = export("--home", swarm)
    told = json.loads((swarm / "peer-0" / "checkpoints" / "step-00000008" / "checkpoint.json").read_text())
    assert f"run {told['run'][:12]}" in shown
    assert "peer-2  inner step 8, " in shown
    assert "% of the weights, root mean square" in shown
    assert "peer sample" in shown


def test_one_home_is_exported_as_it_is(export, swarm):
    assert "one replica, peer-1, at inner step 8: nothing was averaged" in export("--home", swarm / "peer-1")


def test_single_checkpoints_are_replicas_too(export, swarm):
    paths = [home / "checkpoints" / "step-00000008" for home in sorted(swarm.glob("peer-*"))]
    told = _told(export("--checkpoint", paths[0], "--checkpoint", paths[1] / "model.safetensors", "--json"))
    assert len(told.model.replicas) == 2
    again = _told(export("--home", swarm, "--checkpoint", paths[0], "--json", "--force"))
    assert [one.name for one in again.model.replicas] == ["peer-0", "peer-1", "peer-2"]


def test_a_checkpoint_without_its_home_needs_another_home(export, swarm, tmp_path):
    copy = tmp_path / "elsewhere" / "copies" / "step-00000008"
    shutil.copytree(swarm / "peer-0" / "checkpoints" / "step-00000008", copy)
    with pytest.raises(HomeError, match="holds no manifest"):
        export("--checkpoint", copy)
    told = _told(export("--checkpoint", copy, "--home", swarm / "peer-1", "--json"))
    assert [one.name for one in told.model.replicas] == ["peer-1", "step-00000008"]


def test_a_daemon_in_the_home_is_no_hindrance(export, swarm):
    with Home.open(swarm / "peer-0"):
        assert "nothing was averaged" in export("--home", swarm / "peer-0")


def test_a_replica_that_was_left_behind_is_named(swarm, tmp_path):
    make_home(tmp_path / "late", signed(), 5, 1)
    arguments = ["export", str(tmp_path / "model"), "--home", str(swarm), "--home", str(tmp_path / "late")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    assert "peer: late stands at inner step 1, the newest replica at 8: leave it out" in done.stderr
    assert "peer-0 stands" not in done.stderr


# ---- refusals


def test_replicas_of_two_runs_have_no_average(export, swarm, tmp_path):
    make_home(tmp_path / "other", signed(name="other"), 0, 1)
    with pytest.raises(ReplicasDifferError, match=r"Name replicas of one run only"):
        export("--home", swarm / "peer-0", "--home", tmp_path / "other")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (["--home", "gone"], HomeError, "There is no peer's home at"),
        (["--home", "empty"], CheckpointError, "has no checkpoint yet"),
        (["--checkpoint", "gone"], CheckpointError, "there is no checkpoint in .*gone"),
        (["--home", "damaged"], CheckpointError, "none of the 1 checkpoints in .* is whole"),
        (["--checkpoint", "damaged/checkpoints/step-00000008"], CheckpointError, "differs from its hash"),
        (["--home", "garbled"], ManifestInvalidError, "is damaged"),
    ],
)
def test_what_is_wrong_with_a_home_is_told(export, swarm, tmp_path, given, error, told):
    (tmp_path / "empty").mkdir()
    damaged = shutil.copytree(swarm / "peer-0", tmp_path / "damaged")
    weights = damaged / "checkpoints" / "step-00000008" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    garbled = shutil.copytree(swarm / "peer-1", tmp_path / "garbled")
    (garbled / "manifest").write_bytes(b"garbled")
    with pytest.raises(error, match=told) as failure:
        export(given[0], tmp_path / given[1])
    assert isinstance(failure.value, PeerError)
    assert "\n" not in str(failure.value)


def test_a_damaged_checkpoint_is_passed_over_where_an_older_one_is_whole(export, swarm, tmp_path):
    home = shutil.copytree(swarm / "peer-0", tmp_path / "home")
    newer = shutil.copytree(home / "checkpoints" / "step-00000008", home / "checkpoints" / "step-00000009")
    (newer / "model.safetensors").write_bytes(b"")
    assert "peer" in export("--home", home)


def test_a_folder_in_use_is_refused(export, swarm, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "note").write_text("mine")
    with pytest.raises(ExportError):
        export("--home", swarm)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """Homes of two peers with adapters, and their base model."""
    pytest.importorskip("peft", reason="the extra `hf` is not installed")
    folder = tmp_path_factory.mktemp("tuned")
    train_run(folder, "llama", Lora(rank=2, targets=("q_proj",)))
    return folder


def test_adapters_are_exported_merged_evaluated_and_sampled(export, tuned, tmp_path):
    shown = export("--home", tuned)
    assert "adapters of 512 parameters for base, float32" in shown
    assert "load it: peft.PeftModel.from_pretrained" in shown
    told = _told(export("--home", tuned, "--merge", "--force", "--json"))
    assert told.model.kind == "merged"
    assert "model.safetensors" in told.files
    text = tmp_path / "text"
    text.write_bytes(TEXT)
    losses = []
    for where in (("--home", tuned), ("--model", tmp_path / "model")):
        done = CliRunner().invoke(app, ["evaluate", str(text), *map(str, where), "--json"])
        losses.append(json.loads(done.stdout)["models"][-1]["loss"])
        said = ["sample", "Emma", *map(str, where), "--tokens", "5", "--seed", "1", "--json"]
        assert json.loads(CliRunner().invoke(app, said).stdout)["tokens"] == 5
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_a_base_model_that_is_elsewhere_is_named(export, tuned, tmp_path):
    base = shutil.copytree(tuned / "base", tmp_path / "base")
    remember(tuned / "peer-0", Remembered())
    try:
        with pytest.raises(BaseModelError, match="--base"):
            export("--home", tuned, "--merge")
        export("--home", tuned, "--merge", "--base", base)
    finally:
        remember(tuned / "peer-0", Remembered(model_path=str(tuned / "base")))
