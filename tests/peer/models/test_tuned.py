"""Base models that peers have tuned, whole or with adapters: exported, loaded, evaluated, sampled."""

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from peer.errors import BaseModelError, CheckpointError, ExportError, ModelError
from peer.models import evaluate
from peer.models import generate as module
from peer.models.export import Order, export
from peer.models.generate import Drawing, generate
from peer.models.held_out import evaluate_held_out
from peer.models.loaded import of_folder, of_run, put
from peer.models.replicas import average, unheard
from peer.models.report import evaluate_folder, evaluate_replicas
from peer.trainer.evaluate import held_out_loss
from peer.trainer.work import Places
from protocol.foreign import Lora
from tests import base_models
from tests.peer.models.tuned import TEXT, train_run
from tests.peer.trainer import tiny

pytest.importorskip("peft", reason="the extra `hf` is not installed")

CPU = torch.device("cpu")
LORA = {
    "llama": Lora(rank=4, alpha=8.0, targets=("down_proj", "q_proj")),
    "gpt2": Lora(rank=2, targets=("c_attn",)),
}


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Makes a run of two peers on a base model, each with a few steps behind it."""
    made = {}

    def make(kind, lora):
        if (kind, lora) not in made:
            made[kind, lora] = train_run(tmp_path_factory.mktemp(kind), kind, LORA[kind] if lora else None)
        return made[kind, lora]

    return make


def order(folder, precision="fp32", **asked):
    return Order(folder, precision, **{"force": False, "gguf": False} | asked)


def the_trainers_loss(run):
    """Of the replicas' average, on a text."""
    model = of_run(run, CPU)
    put(average(run).weights, model.net)
    return held_out_loss(model.net, tokens_of(model), 32), model


def tokens_of(model):
    return torch.tensor(model.tokenizer.encode(TEXT.decode(), add_special_tokens=False).ids)


def loss_of(net, model):
    """As the trainer takes it, of a model as its own library has loaded it."""
    from peer.trainer.hf.net import Causal

    with torch.no_grad():
        return held_out_loss(Causal(net), tokens_of(model), 32)


@pytest.mark.parametrize("kind", LORA)
def test_adapters_load_in_peft_with_the_trainers_loss(make, kind, tmp_path):
    from transformers import AutoModelForCausalLM

    run = make(kind, lora=True)
    done = export(run, order(tmp_path / "adapter"), unheard)
    assert set(done.files) == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "murmuration.json",
    }
    assert (done.model.kind, done.model.base, done.model.context) == ("adapters", "base", 32)
    assert done.model.spread.overall == average(run).spread.overall > 0
    wanted, model = the_trainers_loss(run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft on names that transformers has changed, and on transposes
        from peft import PeftModel

        net = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(run.places.model), tmp_path / "adapter"
        )
    assert loss_of(net, model) == pytest.approx(wanted, abs=1e-4)
    assert loss_of(AutoModelForCausalLM.from_pretrained(run.places.model), model) > wanted + 1e-3
    card = (tmp_path / "adapter" / "README.md").read_text()
    for words in (
        "library_name: peft",
        f"LoRA adapters of {done.model.parameters:,} parameters for the model base: the average of 2",
        "PeftModel.from_pretrained",
        "peer-1",
    ):
        assert words in card
    assert str(run.places.model) not in "".join(
        path.read_bytes().decode("latin-1") for path in (tmp_path / "adapter").iterdir()
    )


@pytest.mark.parametrize(
    ("kind", "lora"), [("llama", True), ("gpt2", True), ("llama", False), ("gpt2", False)]
)
def test_whole_and_merged_models_load_in_transformers_with_the_trainers_loss(make, kind, lora, tmp_path):
    from transformers import AutoModelForCausalLM

    run = make(kind, lora=lora)
    done = export(run, order(tmp_path / "model", merge=lora), unheard)
    assert done.model.kind == ("merged" if lora else "model")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["model_type"] == kind
    wanted, model = the_trainers_loss(run)
    net, told = AutoModelForCausalLM.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    assert loss_of(net, model) == pytest.approx(wanted, abs=1e-4)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "model" / name).read_bytes() == Path(run.places.model, name).read_bytes()
    card = (tmp_path / "model" / "README.md").read_text()
    size = f"{done.model.parameters:,} parameters"
    merged = f"The model base with LoRA adapters of {size} merged into it: the average"
    assert (
        merged if lora else f"The model base, trained on: a language model of {size}: the average"
    ) in card
    assert len({file.stat().st_mode for file in (tmp_path / "model").iterdir()}) == 1


def test_half_the_size_costs_little(make, tmp_path):
    run = make("llama", lora=True)
    export(run, order(tmp_path / "model", "bf16", merge=True), unheard)
    export(run, order(tmp_path / "adapter", "bf16"), unheard)
    wanted, model = the_trainers_loss(run)
    loaded = of_folder(tmp_path / "model", CPU)
    assert held_out_loss(loaded.net, tokens_of(model), 32) == pytest.approx(wanted, abs=1e-2)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    full = export(run, order(tmp_path / "full"), unheard)
    half = (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_size
    assert half < 0.7 * full.files["adapter_model.safetensors"]


@pytest.mark.parametrize(("kind", "lora"), [("llama", True), ("gpt2", False)])
def test_replicas_are_evaluated_and_so_is_what_was_exported(make, kind, lora, tmp_path):
    run = make(kind, lora=lora)
    text = tiny.write_file(tmp_path, "text", TEXT)
    rows = evaluate_replicas(run, text, CPU, unheard).models
    assert [row.name for row in rows] == ["peer-0", "peer-1", "their average", "the base model"]
    assert rows[2].loss < rows[0].loss + 0.05
    # In windows as long as the run's: by itself the base model looks back further.
    base = replace(of_folder(Path(run.places.model), CPU), context=32)
    assert rows[3].loss == pytest.approx(
        evaluate.score(base, evaluate.read(text, base), unheard).loss, abs=1e-4
    )
    assert rows[3].loss != rows[0].loss
    held_out = evaluate_held_out(run, CPU, unheard).models
    assert [row.kind for row in held_out] == [row.kind for row in rows]
    assert held_out[3].loss > held_out[2].loss
    export(run, order(tmp_path / "model", merge=lora), unheard)
    (row,) = evaluate_folder(tmp_path / "model", text, CPU, unheard).models
    assert row.loss == pytest.approx(rows[2].loss, abs=1e-4)
    assert of_folder(tmp_path / "model", CPU).context == 32


@pytest.mark.parametrize(("kind", "lora"), [("llama", True), ("gpt2", False)])
def test_it_writes_as_transformers_does(make, kind, lora):
    _, model = the_trainers_loss(make(kind, lora=lora))
    prompt = tokens_of(model)[:8].tolist()
    written = list(generate(model.net, 32, prompt, 20, Drawing(0.0, 1.0, 0)))
    together = model.net.logits(torch.tensor([prompt + written]))[0]
    assert together.argmax(-1).tolist()[7:-1] == written
    # Beyond its context it goes on from the later half of what it has.
    assert len(list(generate(model.net, 32, prompt, 60, Drawing(1.0, 0.9, 1)))) == 60


def test_a_model_that_keeps_nothing_is_fed_the_whole_sequence(make, monkeypatch):
    _, model = the_trainers_loss(make("gpt2", lora=False))
    prompt = tokens_of(model)[:8].tolist()
    kept = list(generate(model.net, 32, prompt, 30, Drawing(0.0, 1.0, 0)))
    monkeypatch.setattr(module, "CACHES", ())
    assert list(generate(model.net, 32, prompt, 30, Drawing(0.0, 1.0, 0))) == kept


def test_nothing_of_the_base_is_needed_for_adapters_alone(make, tmp_path):
    run = make("llama", lora=True)
    export(replace(run, places=Places()), order(tmp_path / "adapter"), unheard)
    with pytest.raises(BaseModelError, match="its founder has in a folder"):
        export(replace(run, places=Places()), order(tmp_path / "model", merge=True), unheard)
    with pytest.raises(BaseModelError, match="its founder has in a folder"):
        of_run(replace(run, places=Places()), CPU)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_what_cannot_be_is_said_in_a_line(make, tmp_path):
    whole, tuned = make("llama", lora=False), make("llama", lora=True)
    with pytest.raises(ExportError, match="this run trains none"):
        export(whole, order(tmp_path / "x", merge=True), unheard)
    with pytest.raises(ExportError, match="--gguf is for the built-in model"):
        export(tuned, order(tmp_path / "x", gguf=True), unheard)
    export(tuned, order(tmp_path / "adapter"), unheard)
    with pytest.raises(ModelError, match=r"holds adapters, which are no model .* export with --merge"):
        of_folder(tmp_path / "adapter", CPU)
    assert not (tmp_path / "x").exists()


def test_a_checkpoint_of_another_run_is_refused(make, tmp_path):
    tuned, whole = make("llama", lora=True), make("llama", lora=False)
    for members in ((tuned.members[0], whole.members[0]), whole.members):
        with pytest.raises(CheckpointError, match="is of another model"):
            average(replace(tuned, members=members))


def test_an_export_of_another_form_is_replaced_whole(make, tmp_path):
    tuned = make("llama", lora=True)
    export(tuned, order(tmp_path / "x", merge=True), unheard)
    export(tuned, order(tmp_path / "x", force=True), unheard)
    assert {path.name for path in (tmp_path / "x").iterdir()} == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "murmuration.json",
    }  # fmt: skip


def test_any_model_that_transformers_has_saved_can_be_tried(make, tmp_path):
    run = make("gpt2", lora=False)
    folder = shutil.copytree(run.places.model, tmp_path / "theirs")
    model = of_folder(folder, CPU)
    assert model.context == base_models.CONTEXT
    assert evaluate.text_loss(model.net, tokens_of(model), 32, unheard) == pytest.approx(6.3, abs=0.5)
    (folder / "model.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="theirs cannot be used: "):
        of_folder(folder, CPU)


@pytest.mark.parametrize(
    "told", ["", "[]", '{"context": 0}', '{"context": -3}', '{"context": "x"}', "[" * 9999]
)
def test_what_stands_beside_a_model_may_be_anything(make, tmp_path, told):
    run = make("gpt2", lora=False)
    folder = shutil.copytree(run.places.model, tmp_path / "theirs")
    (folder / "murmuration.json").write_text(told)
    assert of_folder(folder, CPU).context == base_models.CONTEXT
