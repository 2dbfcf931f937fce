import math
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from peer.errors import CheckpointError
from peer.models.replicas import Replica, Replicas, average, load
from peer.trainer.checkpoint import WEIGHTS, Counters
from peer.trainer.work import Places


def _stored(run):
    return [load_file(one.path / WEIGHTS) for one in run.members]


def _one(run, path):
    return Replicas(run.run_id, run.manifest, Places(), (Replica("one", path, Counters()),))


def test_the_average_is_the_mean_of_each_tensor(run):
    stored = _stored(run)
    mean = average(run).weights
    assert mean.keys() == stored[0].keys()
    for name, tensor in mean.items():
        assert tensor.dtype == torch.float32
        wanted = torch.stack([weights[name].double() for weights in stored]).mean(0)
        torch.testing.assert_close(tensor.double(), wanted, rtol=1e-7, atol=1e-9)


def test_the_spread_is_the_distance_to_the_mean_over_its_length(run):
    stored = _stored(run)
    flat = torch.stack([torch.cat([weights[name].flatten() for name in stored[0]]) for weights in stored])
    mean = flat.double().mean(0)
    distances = [float((one - mean).norm() / mean.norm()) for one in flat]
    spread = average(run).spread
    assert spread.replicas == pytest.approx(distances)
    assert min(distances) > 0.01
    assert spread.overall == pytest.approx(math.sqrt(sum(each**2 for each in distances) / 3))
    name = "layers.1.mlp.up_proj.weight"
    part = torch.stack([weights[name].double() for weights in stored])
    apart = (part - part.mean(0)).square().sum(dim=(1, 2)).mean().sqrt() / part.mean(0).norm()
    assert spread.tensors[name] == pytest.approx(float(apart))
    assert spread.tensors.keys() == stored[0].keys()


def test_one_replica_is_its_own_average_bit_for_bit(run):
    alone = Replicas(run.run_id, run.manifest, Places(), run.members[:1])
    mean = average(alone)
    assert all(torch.equal(mean.weights[name], tensor) for name, tensor in _stored(run)[0].items())
    assert mean.spread.overall == 0.0
    loaded = load(run.members[0], run.manifest)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in _stored(run)[0].items())


def test_every_tensor_is_reported(run):
    heard = []
    weights = average(run, lambda done, of: heard.append((done, of))).weights
    assert heard == [(done, len(weights)) for done in range(len(weights) + 1)]


def test_a_checkpoint_that_is_gone_is_named(run, tmp_path):
    with pytest.raises(CheckpointError, match="gone cannot be read"):
        average(_one(run, tmp_path / "gone"))


@pytest.mark.parametrize("how", ["cut", "another model"])
def test_a_file_of_no_use_is_refused(run, tmp_path, how):
    path = tmp_path / "step-00000012"
    shutil.copytree(run.members[0].path, path)
    if how == "cut":
        (path / WEIGHTS).write_bytes((path / WEIGHTS).read_bytes()[:-5])
    else:
        save_file({"norm.weight": torch.ones(32)}, path / WEIGHTS)
    with pytest.raises(CheckpointError, match=r"step-00000012 (cannot be read|is of another model)"):
        average(_one(run, path))


def test_a_replica_that_diverged_spoils_no_average(run, tmp_path):
    path = tmp_path / "step-00000012"
    path.mkdir()
    weights = load_file(run.members[0].path / WEIGHTS)
    weights["norm.weight"][3] = math.nan
    save_file(weights, path / WEIGHTS)
    with pytest.raises(CheckpointError, match=r"norm\.weight is not finite"):
        average(_one(run, path))
