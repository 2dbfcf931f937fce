"""What a program does with a peer's model: it needs no daemon, only the home."""

import hashlib
import shutil

import pytest
import tokenizers

from peer import Peer
from peer.daemon.settings import Remembered, remember
from peer.errors import BaseModelError, DataError
from protocol.foreign import Lora
from protocol.manifest import Tokenizer
from tests.peer.models.homes import make_home, signed
from tests.peer.models.tuned import TEXT, train_run
from tests.peer.models.words import train_tokenizer


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """Homes of two peers with adapters, which do not remember where their base model is."""
    pytest.importorskip("peft", reason="the extra `hf` is not installed")
    folder = tmp_path_factory.mktemp("tuned")
    train_run(folder, "llama", Lora(rank=2, targets=("q_proj",)))
    shutil.move(folder / "base", folder / "moved")
    for home in ("peer-0", "peer-1"):
        remember(folder / home, Remembered())
    return folder


def test_adapters_are_merged_into_a_base_model_that_is_named(tuned, tmp_path):
    first, second = (Peer(home=tuned / name) for name in ("peer-0", "peer-1"))
    done = first.export(tmp_path / "model", others=[second], merge=True, base=tuned / "moved")
    assert done.model.kind == "merged"
    text = tmp_path / "text"
    text.write_bytes(TEXT)
    found = first.evaluate(text, others=[second], base=tuned / "moved")
    assert [one.name for one in found.models][:3] == ["peer-0", "peer-1", "their average"]
    assert first.evaluate(base=str(tuned / "moved")).models
    for lost in (lambda: first.export(tmp_path / "other", merge=True), first.evaluate):
        with pytest.raises(BaseModelError, match="--base"):
            lost()


def test_a_tokenizer_that_the_home_does_not_remember_is_named(tmp_path):
    file = train_tokenizer(tmp_path / "tokenizer.json")
    known = tokenizers.Tokenizer.from_file(str(file)).get_vocab_size()
    sha256 = hashlib.sha256(file.read_bytes()).digest()
    run = signed(tokenizer=Tokenizer(kind="file", vocabulary=known, sha256=sha256))
    peer = Peer(home=make_home(tmp_path / "home", run, 0, 3, file))
    done = peer.export(tmp_path / "model", tokenizer=file)
    assert "tokenizer.json" in done.files
    assert peer.evaluate(tokenizer=str(file)).models[0].loss > 0
    for lost in (lambda: peer.export(tmp_path / "other"), peer.evaluate):
        with pytest.raises(DataError, match="--tokenizer"):
            lost()
