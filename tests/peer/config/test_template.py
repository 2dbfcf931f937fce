import re
from pathlib import Path

import pytest

from peer.config.meanings import KEY_MEANINGS, SECTION_MEANINGS
from peer.config.run_file import NO_FOUNDER, RunFile, read_run_file
from peer.config.schema import KEYS, SECTIONS
from peer.config.template import template
from protocol.manifest import Manifest


def _read(tmp_path: Path, text: str) -> RunFile:
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    return read_run_file(path)


def test_it_reads_as_the_default_manifest(tmp_path):
    run = _read(tmp_path, template())
    assert run.draft == Manifest(founder=NO_FOUNDER)
    assert (run.data_paths, run.tokenizer_path) == ((), None)


def test_every_key_has_a_meaning_and_every_meaning_a_key():
    assert set(KEY_MEANINGS) == {".".join(path) for path in KEYS}
    assert tuple(SECTION_MEANINGS) == SECTIONS


@pytest.mark.parametrize("path", KEYS)
def test_every_key_stands_in_it(path):
    assert re.search(rf"^(# )?{path[-1]} = ", template(), re.MULTILINE)


def test_the_constants_of_the_preset_change_with_it(tmp_path):
    run = _read(tmp_path, template().replace('preset = "noloco"', 'preset = "gossip"'))
    assert (run.draft.outer.alpha, run.draft.outer.mixes) == (0.8, 8)


def test_what_is_commented_out_can_be_put_in(tmp_path):
    text = re.sub(r"^# (alpha|beta|mixes) =", r"\1 =", template(), flags=re.MULTILINE)
    assert _read(tmp_path, text).draft == Manifest(founder=NO_FOUNDER)


def test_its_lines_fit_a_terminal():
    assert max(len(line) for line in template().splitlines()) <= 110


def test_no_name_is_broken_and_no_pattern_has_to_be_read():
    assert not [line for line in template().splitlines() if line.endswith("-") or "^[" in line]
