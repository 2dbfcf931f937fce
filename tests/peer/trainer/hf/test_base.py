"""A base model's files: which are read, what is believed of them, and the hashes that peers compare."""

import hashlib
import json

import pytest

from peer.errors import BaseModelError, Exit
from peer.trainer.hf import base

CONFIG = {"model_type": "llama", "num_hidden_layers": 2, "vocab_size": 256, "transformers_version": "5.0"}


def folder(path, config=None, **files):
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(CONFIG if config is None else config))
    for name, content in (files or {"model.safetensors": b"weights"}).items():
        (path / name).write_bytes(content)
    return path


def test_the_hash_of_a_configuration_is_of_what_is_computed(tmp_path):
    one = base.read(folder(tmp_path / "1"), "x", None)
    same = base.read(
        folder(tmp_path / "2", {**CONFIG, "transformers_version": "6", "dtype": "bfloat16", "_name": "y"}),
        "x",
        None,
    )
    other = base.read(folder(tmp_path / "3", {**CONFIG, "num_hidden_layers": 3}), "x", None)
    assert one.config_hash() == same.config_hash() != other.config_hash()


def test_one_file_of_weights_has_its_own_hash_and_parts_have_one_of_theirs(tmp_path):
    single = base.read(folder(tmp_path / "1"), "x", None)
    assert single.weights_hash() == hashlib.sha256(b"weights").digest()
    parts = {"model-00001-of-00002.safetensors": b"a", "model-00002-of-00002.safetensors": b"bc"}
    cut = base.read(folder(tmp_path / "2", **parts, **{"consolidated.safetensors": b"all"}), "x", None)
    assert [file.name for file in cut.files] == sorted(parts)
    assert cut.size == 3
    hashes = b"".join(hashlib.sha256(part).digest() for part in (b"a", b"bc"))
    assert cut.weights_hash() == hashlib.sha256(hashes).digest()


def test_what_could_run_or_fetch_something_is_left_out_at_any_depth(tmp_path):
    config = {
        **CONFIG,
        "auto_map": {"AutoModelForCausalLM": "evil.Model"},
        "attn_implementation": "evil/kernel",
        "_attn_implementation_internal": "evil/kernel",
        "text_config": {"auto_map": {}, "kept": [{"_hidden": 1, "shown": 2}]},
    }
    assert base.read(folder(tmp_path, config), "x", None).config == {
        **CONFIG,
        "text_config": {"kept": [{"shown": 2}]},
    }


@pytest.mark.parametrize(
    ("config", "files", "why"),
    [
        (CONFIG, {"pytorch_model.bin": b"pickle"}, "has no model.safetensors or"),
        ([1], None, "names no model_type"),
        ({"layers": 2}, None, "names no model_type"),
        ({**CONFIG, "quantization_config": {}}, None, "is of a quantised model"),
        ({**CONFIG, "num_hidden_layers": 10**9}, None, "has num_hidden_layers = 1000000000, above 4096"),
        ({**CONFIG, "text": {"n_routed_experts": 1e12}}, None, "has n_routed_experts"),
    ],
)
def test_a_folder_that_is_of_no_use_is_refused_with_its_reason(tmp_path, config, files, why):
    with pytest.raises(BaseModelError, match=why) as caught:
        base.read(folder(tmp_path, config, **(files or {})), "x", None)
    assert caught.value.code == Exit.BASE_INVALID


def test_a_configuration_that_is_no_json_or_endless_is_refused(tmp_path):
    folder(tmp_path)
    for content in (b"{", b"\xff", b"[" * 200_000, b" " * (base.MAX_CONFIG + 1)):
        (tmp_path / "config.json").write_bytes(content)
        with pytest.raises(BaseModelError):
            base.read(tmp_path, "x", None)
