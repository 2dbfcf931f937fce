import shutil

import pytest
import torch
from safetensors.torch import save_file

from peer.errors import DataError, ModelError
from peer.models.export import Order, export
from peer.models.loaded import of_folder, of_run, put
from peer.models.replicas import average, unheard

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "swarm"
    export(run, Order(folder, "fp32", force=False, gguf=False), unheard)
    return folder


def test_an_export_is_the_average_to_the_last_bit(exported, run):
    read = of_folder(exported, CPU)
    mean = of_run(run, CPU)
    put(average(run).weights, mean.net)
    for name, parameter in read.net.named_parameters():
        assert torch.equal(parameter, mean.net.get_parameter(name))
        assert not parameter.requires_grad
    assert read.context == mean.context == 32
    assert read.tokenizer.to_str() == mean.tokenizer.to_str()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_without_a_part_holds_no_model(exported, tmp_path, name):
    folder = shutil.copytree(exported, tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"holds no exported model: {name} is missing"):
        of_folder(folder, CPU)


@pytest.mark.parametrize(
    ("name", "error"),
    [("config.json", ModelError), ("model.safetensors", ModelError), ("tokenizer.json", DataError)],
)
def test_a_damaged_part_is_told(exported, tmp_path, name, error):
    folder = shutil.copytree(exported, tmp_path / "model")
    (folder / name).write_bytes((folder / name).read_bytes()[:-20])
    with pytest.raises(error):
        of_folder(folder, CPU)


def test_weights_of_another_model_are_refused(exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "model")
    save_file({"model.norm.weight": torch.ones(32)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"is not of the model that config\.json describes"):
        of_folder(folder, CPU)
