"""Data sets of this host: found as `datasets` finds them, named by content, and kept to their own files."""

import gc
import gzip
import json
import os
import sys

import pytest

from peer.errors import DataError, ExtraMissingError
from peer.trainer.hf.dataset import find, find_for
from peer.trainer.streams.patience import UnreachableError
from protocol.streamed import Dataset
from tests.row_files import write_csv, write_jsonl, write_parquet, write_texts

pytest.importorskip("datasets", reason="the extra `hf` is not installed")
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")
    for kind in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
]
"""`datasets` leaves packed files and CSV to the garbage collector."""

ROWS = [[f"row {file}.{row}" for row in range(10)] for file in range(2)]
WRITERS = {"json": write_jsonl, "parquet": write_parquet, "csv": write_csv}


@pytest.fixture(autouse=True, scope="module")
def collected():
    yield
    gc.collect()


def dataset(found, **changed):
    known = {"name": found.name, "revision": found.revision, "files": found.hash(("train",)), "end": 0}
    return Dataset(**known | changed)


@pytest.mark.parametrize("kind", WRITERS)
def test_rows_of_any_kind_are_read_from_any_place(tmp_path, kind):
    WRITERS[kind](tmp_path, ROWS)
    found = find(str(tmp_path), None, None)
    assert (found.kind, found.revision) == (kind, None)
    rows = found.rows("train", "text")
    assert rows.files == 2
    for file in range(2):
        read = [row for group in range(rows.groups(file)) for row in rows.read(file, group, 0)]
        assert read == ROWS[file]
        assert list(rows.read(file, rows.groups(file) - 1, 1)) == read[-len(read) // rows.groups(file) + 1 :]


def test_parquet_is_read_by_its_row_groups(tmp_path):
    write_parquet(tmp_path, ROWS, group=4)
    rows = find(str(tmp_path), None, None).rows("train", "text")
    assert rows.groups(0) == 3
    assert list(rows.read(0, 1, 2)) == ["row 0.6", "row 0.7"]
    assert list(rows.read(1, 2, 0)) == ["row 1.8", "row 1.9"]


def test_a_text_file_is_one_row(tmp_path):
    write_texts(tmp_path, ["one\n\ntwo\n", "three"])
    rows = find(str(tmp_path), None, None).rows("train", "text")
    assert (rows.files, rows.groups(0)) == (2, 1)
    assert [list(rows.read(file, 0, 0)) for file in range(2)] == [["one\n\ntwo\n"], ["three"]]
    assert list(rows.read(0, 0, 1)) == []


def test_a_file_may_be_named_alone_and_packed(tmp_path):
    lines = "".join(json.dumps({"text": text}) + "\n" for text in "ab")
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "other.jsonl").write_text("never read")
    found = find(str(tmp_path / "rows.jsonl.gz"), None, None)
    assert list(found.rows("train", "text").read(0, 0, 0)) == ["a", "b"]
    named_by_content = found.hash(("train",))
    again = tmp_path / "elsewhere"
    again.mkdir()
    (tmp_path / "rows.jsonl.gz").rename(again / "my-rows.jsonl.gz")
    assert find(str(again / "my-rows.jsonl.gz"), None, None).hash(("train",)) == named_by_content


def test_splits_are_kept_apart(tmp_path):
    for split in ("train", "test"):
        write_jsonl(tmp_path, [[split]], split=split)
    found = find(str(tmp_path), None, None)
    assert list(found.rows("test", "text").read(0, 0, 0)) == ["test"]
    assert found.hash(("train",)) != found.hash(("train", "test"))
    with pytest.raises(DataError, match=r"has no split 'dev': it has train, test\. Set data.split"):
        found.rows("dev", "text")


def test_a_run_takes_the_same_files_wherever_they_lie_and_no_others(tmp_path):
    (tmp_path / "a").mkdir()
    write_jsonl(tmp_path / "a", ROWS)
    wanted = dataset(find(str(tmp_path / "a"), None, None))
    (tmp_path / "a").rename(tmp_path / "b")
    assert find_for(wanted, str(tmp_path / "b")).files
    os.utime(tmp_path / "b" / "train-0.jsonl", (0, 0))
    assert find_for(wanted, str(tmp_path / "b")).files
    (tmp_path / "b" / "train-0.jsonl").write_text('{"text": "other"}')
    with pytest.raises(DataError, match=f"{tmp_path}/b is not this run's: its files have the hash"):
        find_for(wanted, str(tmp_path / "b"))
    with pytest.raises(DataError, match=r"its founder has in a folder\. Get a copy"):
        find_for(wanted, None)


@pytest.mark.parametrize(
    "path", ["/etc/hostname.json", "../secret/notes.json", "inside/../../secret/notes.json"]
)
def test_a_data_set_that_names_files_beyond_its_own_is_refused(tmp_path, path):
    """What a stranger's data set says of itself must not make a volunteer train on his own files."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "notes.json").write_text('{"text": "mine"}')
    own = tmp_path / "own"
    write_jsonl(own, [["a"]])
    (own / "inside").mkdir()
    path = path.replace("/etc/hostname.json", str(tmp_path / "secret" / "notes.json"))
    (own / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files: {path}\n---\n")
    with pytest.raises(DataError, match="which is none of its files"):
        find(str(own), None, None)


@pytest.mark.parametrize("name", ["rows.xml", "rows.tar", "rows.conll"])
def test_other_kinds_of_file_are_refused(tmp_path, name):
    (tmp_path / name).write_text("<x/>")
    with pytest.raises(DataError, match=r"its files may be \.parquet, \.json"):
        find(str(tmp_path), None, None)


def test_code_of_a_data_set_is_never_run(tmp_path):
    own = write_jsonl(tmp_path / "own", ROWS)
    (own / "own.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    with pytest.raises(DataError, match="has a script, and no code of a data set is run"):
        find(str(own), None, None)
    assert not (tmp_path / "run").exists()


def test_files_may_be_empty_but_not_all(tmp_path):
    write_jsonl(tmp_path / "some", [[], ["a"], []])
    rows = find(str(tmp_path / "some"), None, None).rows("train", "text")
    assert [list(rows.read(file, 0, 0)) for file in range(3)] == [[], ["a"], []]
    write_jsonl(tmp_path / "all", [[], []])
    with pytest.raises(DataError, match="the data set all has no rows"):
        find(str(tmp_path / "all"), None, None).rows("train", "text")


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("body", r"no column 'body'\. Set data.column to one of text, number"),
        ("number", "holds int64, not text"),
    ],
)
@pytest.mark.parametrize("kind", WRITERS)
def test_a_column_that_is_not_there_or_no_text_is_named(tmp_path, kind, column, said):
    WRITERS[kind](tmp_path, ROWS)
    with pytest.raises(DataError, match=said):
        find(str(tmp_path), None, None).rows("train", column)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("/nowhere/at/all", "there is no data set at /nowhere/at/all"),
        ("nothere", "there is no data set 'nothere'. Name a folder or file, or a name on the Hub"),
        ("json", "there is no data set 'json'"),
        ("buckets/x", "there is no data set 'buckets/x'"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(place, said):
    with pytest.raises(DataError, match=said):
        find(place, None, None)


def test_an_empty_folder_and_an_unknown_subset_are_said_in_a_line(tmp_path):
    with pytest.raises(DataError, match=r"cannot be used: .* doesn't contain any data files"):
        find(str(tmp_path), None, None)
    write_jsonl(tmp_path, ROWS)
    with pytest.raises(DataError, match=r"'x' not found\. Available"):
        find(str(tmp_path), None, "x")


def test_damaged_files_are_told_from_those_that_are_away(tmp_path):
    write_parquet(tmp_path, ROWS, group=4)
    rows = find(str(tmp_path), None, None).rows("train", "text")
    second = tmp_path / "train-1.parquet"
    content = second.read_bytes()
    second.write_bytes(content[:-20])
    with pytest.raises(ValueError, match="train-1"):
        rows.groups(1)
    second.unlink()
    with pytest.raises(FileNotFoundError):
        rows.groups(1)
    second.write_bytes(content)
    assert rows.groups(1) == 3


def test_without_a_network_the_hub_cannot_be_reached(tmp_path, monkeypatch):
    import huggingface_hub

    def fail(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", fail)
    with pytest.raises(UnreachableError, match="org/name cannot be reached: no route to host"):
        find("org/name", None, None)


@pytest.mark.parametrize("place", ["org/name", "/"])
def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch, place):
    for module in [each for each in sys.modules if each.partition(".")[0] == "datasets"]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'murmuration-peer\[hf\]'"):
        find(place, None, None)
