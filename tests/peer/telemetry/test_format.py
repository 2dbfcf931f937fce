import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.telemetry.format import (
    counted,
    format_bytes,
    format_loss,
    format_seconds,
    printable,
    progress_line,
    short_peer,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (68e9, "68.0 GB"),
        (1e22, "10000.0 EB"),
    ],
)
def test_bytes(count, text):
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0124, "12 ms"),
        (0.0995, "0.1 s"),
        (0.84, "0.8 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3599.6, "1 h 0 min"),
        (12_000, "3 h 20 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_seconds(seconds, text):
    assert format_seconds(seconds) == text


def test_peers_are_told_apart_by_their_ends():
    assert short_peer("12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6aB3f") == "12D3..aB3f"
    assert short_peer("toy") == "toy"


@given(st.text())
def test_what_is_printed_stays_on_its_line_and_moves_no_cursor(text):
    assert printable(text).isprintable()
    assert len(printable(text)) == len(text)


def test_a_terminal_sequence_is_defused():
    assert printable("a\x1b[2Jb\x9bc\nd") == "a?[2Jb?c?d"


def test_progress_is_a_bar_with_rate_and_time_left():
    line = progress_line(25e6, 100e6, 2.5e6, 30.0)
    assert line == f"{'#' * 6}{'-' * 18} 25%, 25.0 MB of 100.0 MB, 2.5 MB/s, 30.0 s left"
    assert progress_line(0, 8, 0.0, None).endswith("0%, 0 B of 8 B, 0 B/s, no byte lately")


def test_only_a_language_models_loss_is_in_nats():
    assert (format_loss(2.05, None), counted(None)) == ("2.050 nats a token", "tokens")
    assert (format_loss(2.05, "shapes"), counted("shapes")) == ("2.050", "examples")
