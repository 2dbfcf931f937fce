"""Base models as trainees: the same loss as `transformers` gives, and only safe, whole models."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from peer.errors import BaseModelError, ExtraMissingError
from peer.trainer.flat import flatten, trainable
from peer.trainer.hf import find, net
from peer.trainer.layout import layout_of
from protocol.foreign import Lora
from protocol.layout import Layout

TOKENS = torch.randint(0, 512, (2, 33), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def copy(llama, tmp_path):
    return shutil.copytree(llama, tmp_path / "copy")


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_its_loss_is_that_of_transformers(kind, request):
    folder = request.getfixturevalue(kind)
    from transformers import AutoModelForCausalLM

    ours = net.build(find.find(str(folder)), None, seed=0)
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(folder)(input_ids=TOKENS, labels=TOKENS).loss
        assert ours(TOKENS).item() == pytest.approx(theirs.item(), abs=1e-5)
    assert flatten(ours).numel() == layout_of(ours).parameters


def test_the_layout_of_a_whole_model_has_its_layers(llama):
    made = net.build(find.find(str(llama)), None, seed=0)
    layer = 64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 192 + 2 * 64
    assert layout_of(made) == Layout(first=512 * 64, layer=layer, layers=2, last=64)


def test_the_skeleton_has_the_same_layout_and_no_memory(llama):
    base = find.find(str(llama))
    bare = net.skeleton(base)
    assert all(each.is_meta for each in bare.parameters())
    assert layout_of(bare) == layout_of(net.build(base, None, 0))


def test_frozen_weights_may_be_halved_and_adapters_stay_fp32(llama):
    made = net.build(find.find(str(llama)), Lora(targets=("q_proj",)), 0, frozen=torch.bfloat16)
    kinds = {parameter.requires_grad: parameter.dtype for parameter in made.parameters()}
    assert kinds == {False: torch.bfloat16, True: torch.float32}
    made(TOKENS).backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in trainable(made).values())


def _change(folder, **config):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"model_type": "no-such"}, "knows no causal language model of the type 'no-such'"),
        ({"model_type": "t5"}, "knows no causal language model of the type 't5'"),
        ({"hidden_size": 1 << 20}, "transformers makes no model|bytes of weights are beside it"),
        ({"vocab_size": 1 << 30}, "bytes of weights are beside it"),
        ({"num_attention_heads": "many"}, "transformers makes no model"),
    ],
)
def test_a_configuration_that_claims_something_else_is_refused_before_memory_is_taken(copy, config, why):
    _change(copy, **config)
    with pytest.raises(BaseModelError, match=why) as caught:
        net.build(find.find(str(copy)), None, 0)
    assert "\n" not in str(caught.value)


def test_weights_that_are_damaged_or_lacking_are_refused(copy):
    file = copy / "model.safetensors"
    weights = load_file(file)
    del weights["model.norm.weight"]
    save_file(weights, file)
    with pytest.raises(BaseModelError, match=r"lack 1 tensors of its config, such as model\.norm\.weight"):
        net.build(find.find(str(copy)), None, 0)
    file.write_bytes(b"\xff" * file.stat().st_size)
    with pytest.raises(BaseModelError, match="are damaged"):
        net.build(find.find(str(copy)), None, 0)


def test_code_beside_the_weights_is_never_run(copy, tmp_path):
    (copy / "evil.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Model: pass\nclass Config: pass\n"
    )
    (copy / "adapter_config.json").write_text('{"base_model_name_or_path": "evil/base"}')
    _change(copy, auto_map={"AutoModelForCausalLM": "evil.Model", "AutoConfig": "evil.Config"})
    net.build(find.find(str(copy)), None, 0)
    assert not (tmp_path / "ran").exists()


def test_without_the_extra_one_line_says_how_to_get_it(llama, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'murmuration-peer\[hf\]'"):
        net.build(find.find(str(llama)), None, 0)
