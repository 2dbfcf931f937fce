import json
import sys

import pytest
import torch

from peer.errors import ExportError, ExtraMissingError
from peer.models import gguf_file
from peer.models.export import Order, export
from peer.models.forms import GGUF
from peer.models.replicas import unheard
from peer.models.tokens import byte_tokenizer
from tests.peer.models.test_export import loss_in_transformers, the_trainers_loss
from tests.peer.trainer import tiny

BYTES = byte_tokenizer().to_str().encode()


def _export(run, folder, precision="fp32"):
    export(run, Order(folder, precision, force=False, gguf=True), unheard)
    return folder


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("precision", "within"), [("fp32", 1e-4), ("bf16", 1e-2)])
def test_transformers_reads_it_and_gives_the_trainers_loss(run, tmp_path, precision, within):
    from transformers import AutoTokenizer, LlamaForCausalLM

    folder = _export(run, tmp_path / "model", precision)
    (folder / "model.safetensors").unlink()
    net = LlamaForCausalLM.from_pretrained(folder, gguf_file=GGUF)
    tokens = tiny.corpus().held_out[:20_001]
    assert loss_in_transformers(net, tokens, 32) == pytest.approx(the_trainers_loss(run, tokens), abs=within)
    (folder / "tokenizer.json").unlink()
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=GGUF)
    text = "naïve 😀 , and\n\ttwo  spaces ."
    assert bytes(tokenizer(text).input_ids) == text.encode()


def test_the_runs_own_tokenizer_is_in_it(words, tmp_path):
    from gguf import GGUFReader

    folder = _export(words, tmp_path / "model")
    fields = GGUFReader(folder / GGUF).fields
    known = json.loads(words.tokenizer_path.read_bytes())
    texts = fields["tokenizer.ggml.tokens"].contents()
    assert len(texts) == words.manifest.tokenizer.vocabulary == 403
    assert texts[:400] == sorted(known["model"]["vocab"], key=known["model"]["vocab"].get)
    assert fields["tokenizer.ggml.merges"].contents() == [" ".join(one) for one in known["model"]["merges"]]
    kinds = fields["tokenizer.ggml.token_type"].contents()
    assert (kinds[0], set(kinds[1:400]), set(kinds[400:])) == (3, {1}, {5})
    assert texts[fields["tokenizer.ggml.eos_token_id"].contents()] == "ÿ"


@pytest.mark.parametrize("which", ["run", "words"])
def test_llama_cpp_gives_the_trainers_logits(request, tmp_path, which):
    """The real reader, where somebody has compiled it."""
    llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: it is compiled")
    from peer.models.loaded import of_folder

    folder = _export(request.getfixturevalue(which), tmp_path / "model")
    ours = of_folder(folder, torch.device("cpu"))
    text = "It is a truth universally acknowledged, that a single man in want of a naïve 😀 wife ."
    model = llama_cpp.Llama(
        str(folder / GGUF), n_ctx=32, n_threads=1, logits_all=True, type_k=0, type_v=0, verbose=False
    )
    try:
        tokens = model.tokenize(text.encode(), add_bos=False)
        assert tokens == ours.tokenizer.encode(text).ids
        assert model.detokenize(tokens) == text.encode()
        model.eval(tokens[:32])
        wanted = ours.net.logits(torch.tensor([tokens[:32]]))[0]
        torch.testing.assert_close(torch.tensor(model.scores[:32]), wanted, rtol=0, atol=1e-3)
    finally:
        model.close()


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'murmuration-peer\[gguf\]'"):
        gguf_file.check(BYTES)


@pytest.mark.parametrize(
    "changed",
    [
        {"normalizer": {"type": "NFC"}},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}},
        {"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}},
        {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}},
        {"model": {"type": "BPE", "vocab": {"ÿ": 0}, "merges": [["a", "b"]], "ignore_merges": True}},
        {"model": {"type": "BPE", "vocab": {"ÿ": 0}, "merges": [["a", "b"]]}},
    ],
)
def test_a_tokenizer_that_llama_cpp_would_get_wrong_is_refused(changed):
    gguf_file.check(BYTES)
    with pytest.raises(ExportError, match=r"llama\.cpp cannot be given this run's tokenizer"):
        gguf_file.check(json.dumps(json.loads(BYTES) | changed).encode())
