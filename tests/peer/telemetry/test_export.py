"""The event log as other programs read it."""

import builtins
import json

import pytest

from peer.errors import Exit, ExtraMissingError, HomeError
from peer.telemetry import export
from peer.telemetry.export import columns, write_json_lines, write_parquet
from tests.peer.telemetry.test_events import LINES

EVENTS = [event for event, _ in LINES]


def test_json_lines_are_the_log(tmp_path):
    path = tmp_path / "events.jsonl"
    assert write_json_lines(EVENTS, path) == len(EVENTS)
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert [each["time"] for each in told] == [event.time for event in EVENTS]
    assert {each["event"] for each in told} >= {"exchange_done", "stopped"}


@pytest.mark.parametrize("rows", [1, 7, 10_000])
def test_parquet_holds_every_field_of_every_event(tmp_path, rows, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(export, "ROWS", rows)
    path = tmp_path / "events.parquet"
    assert write_parquet(iter(EVENTS), path) == len(EVENTS)
    table = parquet.read_table(path).to_pylist()
    for (event, words), row in zip(LINES, table, strict=True):
        assert row["words"] == words
        assert row["time"].timestamp() == pytest.approx(event.time, abs=1e-6)
        for name in type(event).__struct_fields__:
            if name != "time":
                value = getattr(event, name)
                column = name + "_list" if name == "donors" and isinstance(value, tuple) else name
                assert row[column] == (list(value) if isinstance(value, tuple) else value), name


def test_an_empty_log_is_a_table_too(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    assert write_parquet([], tmp_path / "empty") == 0
    assert parquet.read_table(tmp_path / "empty").column_names == list(columns())


def test_a_field_of_two_types_has_two_columns():
    assert columns()["donors"] == "int64"
    assert columns()["donors_list"] == "list"
    assert columns()["reason"] == "string"
    assert not any(name.endswith(("_string", "_float64", "_bool_")) for name in columns())


def test_without_pyarrow_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ExtraMissingError, match=r"pip install 'murmuration-peer\[parquet\]'") as caught:
        write_parquet(EVENTS, tmp_path / "x")
    assert caught.value.code == Exit.EXTRA_MISSING


def test_a_file_that_cannot_be_written_leaves_what_was_there(tmp_path):
    with pytest.raises(HomeError, match="Cannot write"):
        write_json_lines(EVENTS, tmp_path / "nowhere" / "x")
    kept = tmp_path / "kept"
    kept.write_text("kept")

    def broken():
        yield EVENTS[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(HomeError, match="No space left"):
        write_json_lines(broken(), kept)
    assert kept.read_text() == "kept"
    assert list(tmp_path.iterdir()) == [kept]
