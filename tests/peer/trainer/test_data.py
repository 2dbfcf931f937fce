import hashlib
import struct

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.errors import DataError
from peer.trainer import data
from peer.trainer.sources import embedded
from protocol.manifest import Data, Manifest, Tokenizer
from tests.peer.trainer.tiny import MODEL, corpus, manifest, write_file


def text_run(text: bytes, **settings) -> Manifest:
    described = Data(source="text", sha256=hashlib.sha256(text).digest(), **{"shards": 2} | settings)
    return msgspec.structs.replace(manifest(), data=described)


def token_run(content: bytes, vocabulary: int, **settings) -> Manifest:
    described = Data(source="tokens", sha256=hashlib.sha256(content).digest(), **{"shards": 2} | settings)
    named = Tokenizer(kind="file", vocabulary=vocabulary, sha256=bytes(32))
    return msgspec.structs.replace(manifest(), data=described, tokenizer=named)


def test_the_parts_of_the_embedded_text_make_up_the_whole():
    whole, parts = embedded("shakespeare"), corpus()
    assert parts.training.numel() + parts.held_out.numel() == len(whole)
    assert parts.held_out.numel() / len(whole) == pytest.approx(0.05, abs=0.01)
    counted = torch.bincount(parts.training.int(), minlength=256) + torch.bincount(
        parts.held_out.int(), minlength=256
    )
    assert counted.tolist() == torch.bincount(torch.tensor(list(whole)), minlength=256).tolist()


def test_held_out_segments_are_spread_evenly(tmp_path):
    text = b"".join(bytes([i]) * data.SEGMENT for i in range(100))
    run = text_run(text, held_out=0.1)
    parts = data.load(run, write_file(tmp_path, "a.txt", text), None)
    assert parts.held_out.unique().tolist() == list(range(5, 100, 10))
    assert not set(parts.training.unique().tolist()) & set(range(5, 100, 10))


@given(st.text(min_size=1), st.integers(1, 20))
def test_cuts_fall_between_characters(text, size):
    segments = data.cut(text.encode(), size)
    assert "".join(segment.decode() for segment in segments) == text
    assert all(len(segment) < size + 4 for segment in segments)


def test_a_small_text_holds_out_the_share_that_was_asked_for(tmp_path):
    text = bytes(range(65, 91)) * 400
    parts = data.load(text_run(text), write_file(tmp_path, "a.txt", text), None)
    assert parts.held_out.numel() / len(text) == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize("text", [b"", b"x", b"x" * 100, b"x" * 290])
def test_a_text_too_short_is_refused(tmp_path, text):
    with pytest.raises(DataError, match="too short"):
        data.load(text_run(text, shards=8), write_file(tmp_path, "a.txt", text), None)


def test_another_text_is_refused(tmp_path):
    with pytest.raises(DataError, match="hash"):
        data.load(text_run(b"x" * 9000), write_file(tmp_path, "a.txt", b"y" * 9000), None)


@pytest.mark.parametrize(("vocabulary", "form"), [(60_000, "H"), (70_000, "I")])
def test_a_token_file_is_mapped_and_its_tail_held_out(tmp_path, vocabulary, form):
    tokens = [i * 7 % vocabulary for i in range(2000)]
    tokens[5] = vocabulary - 1
    content = struct.pack(f"<2000{form}", *tokens)
    parts = data.load(token_run(content, vocabulary), write_file(tmp_path, "t", content), None)
    assert parts.training.to(torch.int64).tolist() == tokens[:1900]
    assert parts.held_out.to(torch.int64).tolist() == tokens[1900:]
    assert data.batch(parts.training, [3, 0], 16).tolist() == [tokens[48:65], tokens[:17]]


def test_a_token_beyond_the_vocabulary_is_refused(tmp_path):
    content = struct.pack("<2000H", *([0] * 1999), 100)
    with pytest.raises(DataError, match="token 100"):
        data.load(token_run(content, 100), write_file(tmp_path, "t", content), None)


@pytest.mark.parametrize("content", [b"", b"\0" * 2001])
def test_half_tokens_are_refused(tmp_path, content):
    with pytest.raises(DataError, match="no whole number"):
        data.load(token_run(content, 100), write_file(tmp_path, "t", content), None)


@given(st.integers(0, 200), st.integers(1, 50))
def test_every_window_has_its_target(length, context):
    tokens = torch.arange(length, dtype=torch.uint8)
    count = data.window_count(tokens, context)
    if count:
        batch = data.batch(tokens, list(range(count)), context)
        assert batch.dtype == torch.int64
        assert batch.shape == (count, context + 1)
        assert batch[:, 0].tolist() == list(range(0, count * context, context))
    assert length < (count + 1) * context + 1


def test_a_long_context_is_refused():
    long = msgspec.structs.replace(MODEL, context=131072)
    with pytest.raises(DataError, match="too short"):
        data.load(msgspec.structs.replace(manifest(), model=long), None, None)
