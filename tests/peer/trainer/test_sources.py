import hashlib
import subprocess
import sys

import pytest

from peer.errors import DataError
from peer.trainer.sources import content_hash, embedded, text
from tests.peer.trainer.tiny import write_file


def test_the_embedded_texts():
    assert len(embedded("shakespeare")) == pytest.approx(5.07e6, rel=0.01)
    assert len(embedded("austen")) == pytest.approx(4.02e6, rel=0.01)
    assert b"Romeo, Romeo" in embedded("shakespeare").replace(b"O Romeo", b"Romeo")
    assert content_hash("shakespeare", None) is None


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    write_file(tmp_path, "b.txt", "two")
    write_file(tmp_path, "a/z.txt", "one")
    write_file(tmp_path, "c.txt", "three")
    write_file(tmp_path, ".hidden", b"\xff")
    assert text("text", tmp_path) == b"one\ntwo\nthree"
    assert content_hash("text", tmp_path) == hashlib.sha256(b"one\ntwo\nthree").digest()


def test_one_file_is_its_own_text(tmp_path):
    assert text("text", write_file(tmp_path, "a.txt", "hello")) == b"hello"


def test_a_token_file_is_hashed_as_it_lies(tmp_path):
    assert content_hash("tokens", write_file(tmp_path, "t", b"\1\0")) == hashlib.sha256(b"\1\0").digest()


def test_python_is_a_corpus_without_its_tests():
    source = text("python", None)
    assert len(source) > 30e6
    assert b"def fnmatchcase(" in source


@pytest.mark.parametrize("source", ["text", "tokens"])
def test_what_is_missing_is_named(tmp_path, source):
    with pytest.raises(DataError, match="none was given"):
        content_hash(source, None)
    with pytest.raises(DataError, match="absent"):
        content_hash(source, tmp_path / "absent")


def test_an_empty_folder_and_a_binary_are_refused(tmp_path):
    with pytest.raises(DataError, match="no text"):
        text("text", tmp_path)
    with pytest.raises(DataError, match="not UTF-8"):
        text("text", write_file(tmp_path, "a.bin", b"\xff\xfe\x00"))


def test_hashing_needs_no_torch():
    code = "import sys, peer.trainer.sources as s; s.embedded('austen'); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
