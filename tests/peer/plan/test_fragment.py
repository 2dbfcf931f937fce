from dataclasses import replace

import pytest

from peer.config.run_file import read_run_file
from peer.plan.choose import choose
from peer.plan.fragment import run_file
from peer.plan.run import choice_of
from peer.plan.shape import shape
from tests.peer.plan.test_choose import QUESTION


@pytest.mark.parametrize("preset", ["gossip", "noloco", "streaming-gossip", "diloco", "streaming-diloco"])
def test_the_run_file_is_accepted_and_is_the_plan(tmp_path, preset):
    question = replace(QUESTION, preset=preset)
    chosen = choose(question)
    path = tmp_path / "run.toml"
    path.write_text(run_file(question, chosen), encoding="utf-8")
    draft = read_run_file(path).draft
    assert draft.model == question.model
    assert draft.tokenizer.vocabulary == 32768
    assert replace(choice_of(draft), bits=chosen.bits) == chosen


def test_bytes_need_no_tokenizer_file():
    small = replace(QUESTION, model=shape(5e6, 256, 512), vocabulary=256, tokens=1e8)
    assert "tokenizer" not in run_file(small, choose(small))
    assert "Put a Hugging Face tokenizer.json" in run_file(QUESTION, choose(QUESTION))
