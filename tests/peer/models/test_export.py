import json
import shutil

import pytest
import torch
from safetensors import safe_open

from peer.errors import CheckpointError, ExportError
from peer.models import export as module
from peer.models.export import Exported, Order, export
from peer.models.loaded import PROVENANCE, of_run, put
from peer.models.replicas import Replicas, average, unheard
from peer.trainer import data, sources
from peer.trainer.evaluate import WINDOWS, held_out_loss
from peer.trainer.tokenizer import load as load_tokenizer
from peer.trainer.work import Places
from tests.peer.trainer import tiny

CPU = torch.device("cpu")


def _export(run, folder, precision="fp32", *, force=False) -> Exported:
    return export(run, Order(folder, precision, force=force, gguf=False), unheard)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "swarm"
    _export(run, folder)
    return folder


def loss_in_transformers(net, tokens, context, windows=WINDOWS):
    """The loss as the trainer takes it (`held_out_loss`), of logits that transformers computes."""
    available = data.window_count(tokens, context)
    count = min(windows, available)
    chosen = [(2 * i + 1) * available // (2 * count) for i in range(count)]
    batch = data.batch(tokens, chosen, context)
    with torch.no_grad():
        logits = net(input_ids=batch[:, :-1]).logits.float()
    return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten()))


def the_trainers_loss(run, tokens):
    model = of_run(run, CPU)
    put(average(run).weights, model.net)
    return held_out_loss(model.net, tokens, model.context)


# ---- transformers


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("precision", "within"), [("fp32", 1e-4), ("bf16", 1e-2)])
def test_transformers_gives_the_trainers_loss(run, tmp_path, precision, within):
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    _export(run, tmp_path / "model", precision)
    text = tiny.corpus().held_out[:20_001]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model", model_max_length=10**6)
    tokens = tokenizer(bytes(text.tolist()).decode(), return_tensors="pt").input_ids[0]
    assert torch.equal(tokens, text.long())
    wanted = the_trainers_loss(run, text)
    assert wanted < 4.5  # it has learned: a model that knows nothing has 5.5
    for kind in (LlamaForCausalLM, AutoModelForCausalLM):
        net = kind.from_pretrained(tmp_path / "model")
        assert net.dtype == module.DTYPES[precision]
        assert loss_in_transformers(net, tokens, 32) == pytest.approx(wanted, abs=within)


@pytest.mark.timeout(300)
def test_transformers_generates_and_nothing_ends_it(exported):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    net = AutoModelForCausalLM.from_pretrained(exported)
    tokenizer = AutoTokenizer.from_pretrained(exported)
    assert tokenizer.eos_token is tokenizer.bos_token is net.generation_config.eos_token_id is None
    out = net.generate(**tokenizer("Once", return_tensors="pt"), do_sample=False)
    assert out.shape == (1, 4 + 16)


@pytest.mark.timeout(300)
def test_a_tokenizer_of_the_runs_own_cuts_as_it_did_in_training(words, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _export(words, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model", model_max_length=10**6)
    text = sources.embedded("austen")[:9000]
    (tokens,) = load_tokenizer(words.manifest.tokenizer, words.tokenizer_path).encode([text])
    assert torch.equal(tokenizer(text.decode(), return_tensors="pt").input_ids[0], tokens.long())
    net = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    wanted = the_trainers_loss(words, tokens)
    assert loss_in_transformers(net, tokens, 32) == pytest.approx(wanted, abs=1e-4)


# ---- what is written


def test_the_folder_says_where_the_model_comes_from(exported, run):
    told = json.loads((exported / PROVENANCE).read_text())
    assert told["run_id"] == run.run_id
    assert [one["name"] for one in told["replicas"]] == ["peer-0", "peer-1", "peer-2"]
    assert [one["inner_step"] for one in told["replicas"]] == [12, 12, 12]
    spread = average(run).spread
    assert told["spread"]["overall"] == pytest.approx(spread.overall)
    assert told["spread"]["tensors"] == pytest.approx(spread.tensors)
    card = (exported / "README.md").read_text()
    for words in (run.run_id, "average of 3 replicas", f"{spread.overall:.2%}", "| peer-1 | 12 | 3 | 768 |"):
        assert words in card
    assert card.startswith("---\nlibrary_name: transformers\n")
    for file in exported.iterdir():
        assert str(run.members[0].path.parent.parent.parent) not in file.read_bytes().decode("latin-1")


def test_other_programs_know_the_weights_format(exported):
    with safe_open(exported / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert all(name.startswith("model.") for name in file.keys())  # noqa: SIM118
    modes = {file.stat().st_mode for file in exported.iterdir()}
    assert len(modes) == 1


def test_one_replica_is_called_one(run, tmp_path):
    alone = Replicas(run.run_id, run.manifest, Places(), run.members[:1])
    done = _export(alone, tmp_path / "model")
    assert done.model.spread.overall == 0.0
    assert ": one replica of a run" in (tmp_path / "model" / "README.md").read_text()
    assert done.files.keys() == {file.name for file in (tmp_path / "model").iterdir()}


# ---- where it is written


def test_a_folder_with_something_in_it_is_left_alone(run, tmp_path):
    (tmp_path / "note").write_text("mine")
    with pytest.raises(ExportError, match=r"is not empty\. Name a new folder"):
        _export(run, tmp_path)
    with pytest.raises(ExportError, match="something else than an earlier export"):
        _export(run, tmp_path, force=True)
    assert [file.name for file in tmp_path.iterdir()] == ["note"]


def test_an_earlier_export_is_replaced_where_that_is_wanted(exported, run, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "model")
    (folder / "note").write_text("mine")
    (folder / "model.gguf").write_text("of the weights before")
    with pytest.raises(ExportError, match="--force"):
        _export(run, folder)
    _export(run, folder, "bf16", force=True)
    assert (folder / "note").read_text() == "mine"
    assert not (folder / "model.gguf").exists()
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    assert {file.name for file in folder.iterdir()} == {*(file.name for file in exported.iterdir()), "note"}
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_an_empty_folder_and_one_that_is_deep_are_new(run, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "a" / "b"):
        _export(run, folder)
        assert (folder / PROVENANCE).exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_on_the_way_leaves_nothing(run, tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(module.card, "write", lambda *_, **__: fail())
    with pytest.raises(ExportError if isinstance(error, OSError) else KeyboardInterrupt):
        _export(run, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder(run, tmp_path):
    (tmp_path / "model").write_text("")
    with pytest.raises(ExportError, match="Not a directory"):
        _export(run, tmp_path / "model")


def test_nothing_appears_where_a_checkpoint_is_gone(run, tmp_path):
    gone = Replicas(run.run_id, run.manifest, Places(), (run.members[0], run.members[1]))
    member = type(run.members[0])("gone", tmp_path / "gone", run.members[0].counters)
    with pytest.raises(CheckpointError):
        _export(Replicas(gone.run_id, gone.manifest, Places(), (*gone.members, member)), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
