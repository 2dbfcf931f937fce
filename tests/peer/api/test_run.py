"""A run as a program describes it is the run of the file that would say the same."""

import tomllib
from pathlib import Path
from typing import get_type_hints

import pytest

from peer import PeerError, Run
from peer.api.run import Keys
from peer.config.run_file import read_run_file
from peer.config.schema import SECTIONS, names_in
from peer.errors import RunFileError

TEXT = """
name = "mine"
codecs = ["fp32", "int8"]
data = "python"
[inner]
batch = 16
learning_rate = 1e-3
[outer]
preset = "noloco"
overlap = false
[task]
name = "shapes"
settings = {width = 8, "odd" = "it's \\"so\\""}
"""


def _read(run):
    with run.written() as file:
        return read_run_file(file)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(TEXT.replace('data = "python"\n', ""))
    return path


def test_keywords_a_table_and_a_file_are_one_run(file):
    table = tomllib.loads(file.read_text())
    runs = [Run(**table), Run.from_dict(table), Run.from_file(file), Run.from_file(str(file))]
    drafts = [_read(run).draft for run in runs]
    assert drafts == [read_run_file(file).draft] * 4
    assert {_read(run).task.settings["odd"] for run in runs} == {'it\'s "so"'}
    assert {run.name for run in runs} == {"mine"}
    assert [run.path for run in runs] == [None, None, file, file]
    assert "mine" in repr(runs[0])


def test_what_is_none_is_left_out():
    assert _read(Run(seed=None, inner={"batch": None})).draft == _read(Run()).draft


def test_every_key_and_section_may_be_named():
    assert set(get_type_hints(Keys)) == {*names_in(()), *SECTIONS}


def test_paths_mean_the_same_wherever_the_peer_reads_them(tmp_path, monkeypatch):
    (tmp_path / "base").mkdir()
    monkeypatch.chdir(tmp_path)
    parts = [{"source": "text", "path": Path("a.txt")}, {"source": "hf", "dataset": Path("base")}]
    runs = [Run(data=data, model={"kind": "hf", "source": "base"}) for data in (parts, {"mixture": parts})]
    monkeypatch.chdir("/")
    for read in map(_read, runs):
        assert read.data_paths == (str(tmp_path / "a.txt"), str(tmp_path / "base"))
        assert read.base.source == str(tmp_path / "base")


def test_what_a_tasks_settings_are_called_is_its_own_affair(file):
    settings = {"path": "https://example.org/a"}
    run = Run(task={"name": "shapes", "settings": settings})
    assert _read(run).task.settings == settings


def test_a_file_that_was_lent_is_gone():
    with Run().written() as file:
        assert file.exists()
    assert not file.parent.exists()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"inner": {"batch": 0}}, "inner.batch = 0 must be a whole number from 1 to 65536"),
        ({"nmae": "x"}, "nmae is not a key; did you mean name?"),
        ({"outer": 3}, "outer = 3 must be a section"),
        ({"outer": {"preset": "noloco", "alpha": 0.9}}, "outer.beta = 0.7 must be above 0"),
        ({"seed": Path("x")}, 'seed = "x" must be a whole number'),
    ],
)
def test_mistakes_are_told_as_those_of_a_file_without_lines(keys, said):
    with pytest.raises(RunFileError) as caught:
        Run(**keys)
    assert str(caught.value).startswith(said)
    assert isinstance(caught.value, PeerError)


def test_mistakes_in_a_file_have_their_lines(file):
    file.write_text("[inner]\nbatch = 0\n")
    with pytest.raises(RunFileError, match=r"run\.toml:2: inner\.batch = 0 must be"):
        Run.from_file(file)
