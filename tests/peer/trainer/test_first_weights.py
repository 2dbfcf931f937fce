import pytest
import torch
from msgspec.structs import replace
from safetensors.torch import save_file

from peer.errors import CheckpointError, DataError
from peer.trainer.first_weights import load_first_weights
from peer.trainer.model import build
from tests.peer.trainer.onebyte.small import trained, write_base
from tests.peer.trainer.tiny import MODEL


def _load(path, sha256):
    net = build(MODEL, 256, 0)
    load_first_weights(replace(MODEL, sha256=sha256), path, net)
    return dict(net.named_parameters())


def test_the_file_takes_the_place_of_the_seed(tmp_path):
    loaded = _load(*write_base(tmp_path))
    for name, tensor in trained().items():
        assert torch.equal(loaded[name], tensor)


def test_any_precision_will_do(tmp_path):
    halves = {name: tensor.bfloat16() for name, tensor in trained().items()}
    loaded = _load(*write_base(tmp_path, halves))
    for name, tensor in halves.items():
        assert torch.equal(loaded[name], tensor.float())


def test_without_a_hash_the_seed_stays(tmp_path):
    seeds = dict(build(MODEL, 256, 0).named_parameters())
    for name, parameter in _load(None, None).items():
        assert torch.equal(parameter, seeds[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("norm.weight"), "norm.weight is missing"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "extra is no tensor of the model"),
        (lambda tensors: tensors.update({"norm.weight": torch.zeros(5)}), r"\[5\], not floats \[32\]"),
        (lambda tensors: tensors.update({"norm.weight": torch.zeros(32).int()}), "torch.int32"),
        (lambda tensors: tensors.clear() or tensors.update(x=torch.zeros(1)), "and 18 more"),
    ],
)
def test_another_models_weights_are_named_in_one_line(tmp_path, change, message):
    tensors = dict(trained())
    change(tensors)
    with pytest.raises(CheckpointError, match=message) as caught:
        _load(*write_base(tmp_path, tensors))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_the_runs_is_refused(tmp_path):
    path, sha256 = write_base(tmp_path)
    with pytest.raises(CheckpointError, match="none is given"):
        _load(None, sha256)
    with pytest.raises(DataError):
        _load(tmp_path / "missing", sha256)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="has the hash"):
        _load(path, sha256)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    from peer.trainer.sources import file_hash

    path = tmp_path / "x"
    path.write_bytes(b"not tensors")
    with pytest.raises(CheckpointError, match="no safetensors file"):
        _load(path, file_hash(path))
