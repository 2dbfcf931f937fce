"""The line that says why a trainer ended."""

import pytest

from peer.daemon.last_words import MOST, last_words, size

BEFORE = "the words of the one before\n"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", ""),
        ("\n \n", ""),
        ("Traceback:\n  File x\nRuntimeError: CUDA error\n\n", "RuntimeError: CUDA error"),
        ("x\n" * 10_000 + "OSError: at last", "OSError: at last"),
        ("\x1b[31mred\x00\n", "?[31mred?"),
        ("é" * 3000, "é" * (MOST - 3) + "..."),
    ],
)
def test_the_last_line_of_this_life_is_told(tmp_path, written, told):
    log = tmp_path / "trainer.log"
    assert size(log) == 0
    log.write_text(BEFORE)
    since = size(log)
    with log.open("a") as file:
        file.write(written)
    assert last_words(log, since) == told


def test_a_log_that_is_gone_tells_nothing(tmp_path):
    assert last_words(tmp_path / "trainer.log", 0) == ""
