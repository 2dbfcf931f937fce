"""What a peer reads of plain sources, data sets and mixtures, and how it goes on after a checkpoint."""

import msgspec
import pytest
import torch

from peer.errors import DataError
from peer.trainer import texts
from peer.trainer.describe import describe
from peer.trainer.evaluate import held_out_loss
from peer.trainer.order import Position
from peer.trainer.replica import Replica
from peer.trainer.sources import content_hash
from peer.trainer.work import Places, load
from protocol.describe import AskDataset
from protocol.manifest import Data, Part
from protocol.streamed import Streamed
from tests.peer.trainer import tiny
from tests.row_files import write_jsonl

pytest.importorskip("datasets", reason="the extra `hf` is not installed")

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    files = [[f"row {row} of file {file}, some words" for row in range(60)] for file in range(3)]
    return str(write_jsonl(tmp_path / "rows", files))


def look(folder, **changed):
    asked = {
        "place": folder, "revision": None, "subset": None, "split": "train", "held_out_split": None,
        "column": "text", "end": None, "shuffle": 16,
    }  # fmt: skip
    return describe(AskDataset(Streamed(**asked | changed), tokenizer=None, base=None)).dataset


def run(*parts, **data):
    return msgspec.structs.replace(
        tiny.manifest("solo"),
        data=Data(source="mixture", mixture=parts, **{"shards": 4, "held_out": 0.2} | data),
    )


@pytest.fixture
def mixed(folder, tmp_path):
    """A run on a mixture of three kinds, and where its files are."""
    text = tiny.write_file(tmp_path, "my.txt", "the quick brown fox jumps over the lazy dog\n" * 200)
    parts = (
        Part(source="shakespeare", weight=0.5),
        Part(source="hf", dataset=look(folder), weight=0.3),
        Part(source="text", sha256=content_hash("text", text), weight=0.2),
    )
    return run(*parts), (folder, str(text))


def test_a_data_set_is_described_by_what_it_is(folder):
    found = look(folder, held_out_split=None)
    assert (found.name, found.revision, found.end, found.shuffle) == ("rows", None, 255, 16)
    with pytest.raises(DataError, match="no split 'dev'"):
        look(folder, held_out_split="dev")
    with pytest.raises(DataError, match="no column 'body'"):
        look(folder, column="body")


def test_a_mixture_is_drawn_from_all_and_tested_on_all(mixed):
    manifest, places = mixed
    read = texts.load(manifest, places, None, shard=0)
    windows, _ = read.feed.take(Position(), 200)
    read.feed.close()
    kinds = [
        "fox" if b"fox" in bytes(window) else "row" if 255 in window else "play"
        for window in windows.tolist()
    ]
    for kind, weight in (("play", 0.5), ("row", 0.3), ("fox", 0.2)):
        assert kinds.count(kind) / 200 == pytest.approx(weight, abs=0.12)
    one = tiny.replica(tiny.manifest("solo"))
    parts = [
        texts.load(run(part), [place] if place else [], None, 0)
        for part, place in zip(manifest.data.parts, (None, *places), strict=True)
    ]
    alone = [part.test(one.net, windows) for part, windows in zip(parts, (32, 19, 13), strict=True)]
    assert read.test(one.net, 64) == pytest.approx(0.5 * alone[0] + 0.3 * alone[1] + 0.2 * alone[2], abs=1e-6)


def test_a_replica_goes_on_bit_for_bit_in_a_mixture(mixed, folder):
    manifest, places = mixed
    whole, first, second = (Replica(manifest, load(manifest, Places(data=places), 1), CPU) for _ in range(3))
    tiny.train(whole, 24)
    tiny.train(first, 10)
    contents = first.contents()
    assert contents.state["data"].numel() < 1000
    second.restore(contents)
    tiny.train(second, 14)
    assert torch.equal(whole.theta, second.theta)
    assert whole.counters == second.counters
    for one in (whole, first, second):
        one._work.feed.close()


def test_a_single_data_set_needs_no_mixture(folder):
    manifest = msgspec.structs.replace(
        tiny.manifest("solo"), data=Data(source="hf", dataset=look(folder), shards=2, held_out=0.2)
    )
    work = load(manifest, Places(data=(folder,)), 0)
    assert work.held_out_loss() == pytest.approx(5.5, abs=0.3)
    others = load(manifest, Places(data=(folder,)), 1)
    mine, theirs = (each.feed.take(Position(), 4)[0] for each in (work, others))
    assert not torch.equal(mine, theirs)
    assert work.held_out_loss() == others.held_out_loss()
    for each in (work, others):
        each.feed.close()


def test_places_are_for_the_sources_that_need_one_in_their_order(mixed):
    manifest, (rows, text) = mixed
    with pytest.raises(DataError, match="is not this run's"):
        texts.load(manifest, (text, rows), None, 0)
    with pytest.raises(DataError, match="none was given"):
        texts.load(manifest, (rows,), None, 0)
    with pytest.raises(DataError, match="its founder has in a folder"):
        texts.load(manifest, (), None, 0)
    with pytest.raises(DataError, match="3 places of data are given, and the run reads 2: the last is /x"):
        texts.load(manifest, (rows, text, "/x"), None, 0)


def test_one_source_is_what_it_always_was():
    read = texts.of_corpus(tiny.manifest(), tiny.corpus(), 0)
    one = tiny.replica()
    assert read.test(one.net, 8) == held_out_loss(one.net, tiny.corpus().held_out, 32, 8)
    assert read.feed.lacks(Position(), 4) is None
    assert read.feed.state() == b""
