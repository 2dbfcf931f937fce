import json

import msgspec
import pytest

from peer.errors import ModelError
from peer.models.llama import config, parse
from protocol.manifest import Model

MODEL = Model(layers=3, width=48, heads=4, hidden=80, context=64, rope_base=5e5)


def test_what_is_written_is_read_back():
    assert parse(msgspec.json.encode(config(MODEL, 300, "bfloat16"))) == (MODEL, 300)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"model_type": "mistral"}, "mistral"),
        ({"num_key_value_heads": 2}, "num_key_value_heads"),
        ({"attention_bias": True}, "attention_bias"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings"),
        ({"rope_parameters": {"rope_theta": 1.0}}, "rope_parameters"),
        ({"rope_parameters": {"rope_theta": 5e5, "rope_type": "yarn"}}, "yarn"),
        ({"rms_norm_eps": 1e-6}, "rms_norm_eps"),
        ({"hidden_size": 10**12}, "width"),
        ({"num_attention_heads": 0}, "num_attention_heads"),
    ],
)
def test_a_model_that_we_do_not_have_is_refused(changed, named):
    content = json.loads(msgspec.json.encode(config(MODEL, 300, "float32"))) | changed
    with pytest.raises(ModelError, match=named):
        parse(json.dumps(content).encode())


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_config_is_refused(content):
    with pytest.raises(ModelError, match=r"config\.json is not of our models"):
        parse(content)
