import math

import pytest
import torch

from peer.errors import DataError
from peer.models import evaluate
from peer.models.export import Order, export
from peer.models.loaded import of_run, put
from peer.models.replicas import average, load, unheard
from peer.models.report import AVERAGE, evaluate_folder, evaluate_replicas
from peer.trainer import sources
from tests.peer.trainer.tiny import write_file

CPU = torch.device("cpu")
TEXT = sources.embedded("austen")[:1000]


@pytest.fixture
def model(run):
    made = of_run(run, CPU)
    put(load(run.members[0], run.manifest), made.net)
    return made


def _token_by_token(net, tokens, context):
    """The loss of every token but the first, each from what stands before it in its window."""
    losses = []
    for place in range(1, len(tokens)):
        start = (place - 1) // context * context
        logits = net.logits(tokens[None, start:place].long())[0, -1]
        losses.append(-float(logits.log_softmax(0)[int(tokens[place])]))
    return losses


@pytest.mark.parametrize("length", [2, 20, 33, 34, 65, 200])
def test_every_token_but_the_first_is_predicted_once(model, length):
    tokens = torch.tensor(list(TEXT[:length]))
    losses = _token_by_token(model.net, tokens, model.context)
    assert len(losses) == length - 1
    assert evaluate.text_loss(model.net, tokens, model.context, unheard) == pytest.approx(
        sum(losses) / len(losses), abs=1e-5
    )


def test_the_size_of_a_batch_changes_nothing(model, monkeypatch):
    tokens = torch.tensor(list(TEXT))
    heard = []
    at_once = evaluate.text_loss(model.net, tokens, model.context, unheard)
    monkeypatch.setattr(evaluate, "LOGITS", 1)
    one_by_one = evaluate.text_loss(model.net, tokens, model.context, lambda *done: heard.append(done))
    assert one_by_one == pytest.approx(at_once, abs=1e-6)
    assert heard[-1] == (999, 999)
    assert heard == sorted(heard)


def test_a_score_in_three_units(model, tmp_path):
    text = evaluate.read(write_file(tmp_path, "text", TEXT), model)
    score = evaluate.score(model, text, unheard)
    assert score.perplexity == pytest.approx(math.exp(score.loss))
    assert score.bits_per_byte == pytest.approx(score.loss / math.log(2))


def test_bits_a_byte_are_for_models_of_different_tokenizers(words, tmp_path):
    made = of_run(words, CPU)
    put(load(words.members[0], words.manifest), made.net)
    text = evaluate.read(write_file(tmp_path, "text", TEXT), made)
    assert text.tokens.numel() < text.size == 1000
    score = evaluate.score(made, text, unheard)
    assert score.bits_per_byte == pytest.approx(score.loss / math.log(2) * text.tokens.numel() / 1000)


def test_a_text_in_pieces_is_the_same_text(model, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "PIECE", 7)
    content = "naïve Ελλάδα 😀".encode() * 9
    assert bytes(evaluate.read(write_file(tmp_path, "text", content), model).tokens.tolist()) == content


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "too short: 0 bytes"), (b"a", "too short: 1 bytes"), (b"caf\xe9 au lait", "is not UTF-8 text")],
)
def test_a_text_of_no_use_is_told(model, tmp_path, content, told):
    with pytest.raises(DataError, match=told):
        evaluate.read(write_file(tmp_path, "text", content), model)


def test_what_is_no_file_is_told(model, tmp_path):
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(DataError, match="cannot be read"):
            evaluate.read(path, model)


def test_replicas_their_average_and_an_export_stand_beside_each_other(run, tmp_path):
    file = write_file(tmp_path, "text", TEXT)
    heard = []
    done = evaluate_replicas(run, file, CPU, lambda *each: heard.append(each))
    assert [(one.name, one.kind) for one in done.models] == [
        ("peer-0", "replica"),
        ("peer-1", "replica"),
        ("peer-2", "replica"),
        (AVERAGE, "average"),
    ]
    assert heard[-1] == (4 * 999, 4 * 999)
    mean = of_run(run, CPU)
    put(average(run).weights, mean.net)
    tokens = torch.tensor(list(TEXT))
    assert done.models[-1].loss == pytest.approx(evaluate.text_loss(mean.net, tokens, 32, unheard))
    export(run, Order(tmp_path / "model", "fp32", force=False, gguf=False), unheard)
    (exported,) = evaluate_folder(tmp_path / "model", file, CPU, unheard).models
    assert (exported.name, exported.loss) == ("model", pytest.approx(done.models[-1].loss, abs=1e-7))
