"""Adapters: they begin alike, change nothing at first, are all that trains, and go out as peft's files."""

import warnings

import pytest
import torch

from peer.errors import BaseModelError, ExportError
from peer.trainer.flat import trainable
from peer.trainer.hf import find, lora, net
from peer.trainer.layout import layout_of
from protocol.foreign import Lora, Pretrained
from protocol.layout import Layout
from protocol.manifest import Manifest, Model

TOKENS = torch.randint(0, 512, (2, 33), generator=torch.Generator().manual_seed(1))
SHAPE = Lora(rank=4, alpha=8.0, targets=("down_proj", "q_proj"))


def run(shape=SHAPE):
    pretrained = Pretrained(
        source="base", config=bytes(32), weights=bytes(32), size=1, lora=shape, layout=Layout(layer=1)
    )
    return Manifest(founder=bytes(32), model=Model(pretrained=pretrained))


def test_adapters_begin_alike_everywhere_and_change_nothing(llama):
    base = find.find(str(llama))
    plain, one, same = (net.build(base, shape, 7) for shape in (None, SHAPE, SHAPE))
    other = net.build(base, SHAPE, 8)
    with torch.no_grad():
        assert one(TOKENS).item() == plain(TOKENS).item()
    for name, value in trainable(one).items():
        assert torch.equal(value, trainable(same)[name])
        assert torch.equal(value, trainable(other)[name]) == (lora.UP in name)
        assert value.abs().max() == 0 if lora.UP in name else 0 < value.abs().max() <= value.shape[1] ** -0.5


def test_only_adapters_train(llama):
    made = net.build(find.find(str(llama)), SHAPE, 0)
    assert all("lora_" in name for name in trainable(made))
    layer = 4 * (64 + 64) + 4 * (192 + 64)
    assert layout_of(made) == Layout(layer=layer, layers=2)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("llama", ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")),
        ("gpt2", ("c_attn", "c_fc", "c_proj")),
    ],
)
def test_without_targets_every_matrix_but_the_last_gets_one(kind, names, request):
    base = find.find(str(request.getfixturevalue(kind)))
    assert lora.linear_names(net.skeleton(base)) == names
    assert layout_of(net.build(base, Lora(targets=names), 0)).layers > 1


def test_targets_that_the_model_lacks_are_refused(llama):
    with pytest.raises(BaseModelError, match="takes no adapter at nowhere"):
        net.build(find.find(str(llama)), Lora(targets=("nowhere",)), 0)


@pytest.mark.filterwarnings("ignore:Model has .tie_word_embeddings")
def test_targets_that_are_no_matrices_are_refused(llama):
    """Both factors of an embedding's adapter would stay 0."""
    with pytest.raises(BaseModelError, match=r"adapters are for matrices, and .*embed_tokens is none"):
        net.build(find.find(str(llama)), Lora(rank=2, targets=("embed_tokens",)), 0)


@pytest.mark.filterwarnings("ignore:Model has .tie_word_embeddings")
def test_adapters_at_a_shared_matrix_are_not_merged(llama):
    """Llama's output projection is its embedding: merged, both would change."""
    base, shape = find.find(str(llama)), Lora(rank=2, targets=("lm_head", "q_proj"))
    tuned = trainable(net.build(base, shape, 0))
    weights = {name.removeprefix(lora.WRAPPED): tensor for name, tensor in tuned.items()}
    with pytest.raises(ExportError, match=r"lm_head shares its matrix with another part.*without --merge"):
        lora.merge(weights, shape, net.build(base, None, 0).inner)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_peft_loads_what_is_exported_and_gives_the_same_loss(kind, request, tmp_path):
    folder = request.getfixturevalue(kind)
    shape = SHAPE if kind == "llama" else Lora(rank=2, alpha=16.0, targets=("c_attn", "c_proj"))
    ours = net.build(find.find(str(folder)), shape, 0)
    with torch.no_grad():
        for value in trainable(ours).values():
            value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(2)), alpha=0.1)
        lora.export_adapter(dict(trainable(ours)), run(shape), tmp_path / "adapter")
        assert peft_loss(folder, tmp_path / "adapter") == pytest.approx(ours(TOKENS).item(), abs=1e-5)


def peft_loss(folder, adapter):
    from transformers import AutoModelForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # peft on names that transformers has changed, and on GPT-2's transposes
        from peft import PeftModel

        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), adapter)
    return model(input_ids=TOKENS, labels=TOKENS).loss.item()


def test_a_run_without_adapters_exports_none(tmp_path):
    for manifest in (run(None), Manifest(founder=bytes(32))):
        with pytest.raises(BaseModelError, match="trains no adapters"):
            lora.export_adapter({}, manifest, tmp_path)
