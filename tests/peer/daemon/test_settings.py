import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.daemon.settings import Remembered, Settings, recall, recall_data, remember

FULL = Remembered(port=4001, shard=3, data_paths=("/data/text",), tokenizer_path="/data/tokenizer.json")


def test_a_new_home_remembers_nothing(tmp_path):
    assert recall(tmp_path) == recall(tmp_path / "nowhere") == Remembered()


@given(st.builds(Remembered))
def test_what_is_written_down_is_recalled(tmp_path_factory, remembered):
    home = tmp_path_factory.mktemp("home")
    remember(home, remembered)
    assert recall(home) == remembered


def test_the_last_word_counts(tmp_path):
    remember(tmp_path, FULL)
    remember(tmp_path, Remembered(shard=1))
    assert recall(tmp_path) == Remembered(shard=1)


def test_what_a_later_version_adds_is_passed_over(tmp_path):
    remember(tmp_path, FULL)
    file = tmp_path / "settings.json"
    file.write_text(file.read_text().replace("{", '{"colour": "blue",', 1))
    assert recall(tmp_path) == FULL


def test_a_home_of_one_source_still_knows_where_that_is(tmp_path):
    (tmp_path / "settings.json").write_text('{"port": 4001, "data_path": "/data/text"}')
    assert recall(tmp_path) == Remembered(port=4001, data_paths=("/data/text",))
    remember(tmp_path, recall(tmp_path))
    assert 'data_path"' not in (tmp_path / "settings.json").read_text()


def test_data_that_a_run_does_not_read_is_forgotten(tmp_path):
    assert recall_data(tmp_path, ("/mine",), 1) == ("/mine",)
    remember(tmp_path, FULL)
    assert recall_data(tmp_path, ("/mine",), 1) == ("/mine",)
    assert recall_data(tmp_path, (), 1) == FULL.data_paths
    assert recall_data(tmp_path, (), 0) == ()


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"3", b'{"port": "x"}', b'{"data_paths": ["\xff"]}', b'{"x": ' + b"[" * 100_000],
    ids=["empty", "binary", "no object", "no number", "no text", "deep"],
)
def test_a_damaged_file_is_as_good_as_none(tmp_path, data):
    (tmp_path / "settings.json").write_bytes(data)
    assert recall(tmp_path) == Remembered()


def test_a_file_that_cannot_be_read_is_as_good_as_none(tmp_path):
    (tmp_path / "settings.json").mkdir()
    assert recall(tmp_path) == Remembered()


def test_a_daemon_without_options_is_open_to_the_world_and_goes_on_for_ever(tmp_path):
    settings = Settings(home=tmp_path)
    assert (settings.bootstraps, settings.listen, settings.announce_loopback) == ((), (), False)
    assert settings.stop_at is None
