"""Lines that fit, whatever strangers put into them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from peer.watch.lines import ASCII, UNICODE, bar, fit, row, title

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\r\n\x08\x00[red]"


@given(st.text(), st.integers(0, 40), st.booleans(), st.sampled_from([ASCII, UNICODE]))
def test_any_words_fill_exactly_their_cells(words, width, right, glyphs):
    fitted = fit(words, width, glyphs, right=right)
    assert cell_len(fitted) == width
    assert fitted.isprintable()
    assert not glyphs.ascii_only or fitted.isascii()


def test_a_strangers_words_move_no_cursor():
    assert fit(HOSTILE, 40, UNICODE).rstrip() == "?]0;owned??[2J?31m?evil????[red]"


@pytest.mark.parametrize(
    ("words", "width", "fitted"),
    [
        ("peer", 6, "peer  "),
        ("peers", 4, "pee…"),
        ("peer", 4, "peer"),
        ("鳥鳥鳥", 4, "鳥 …"),
        ("peer", 0, ""),
    ],
)
def test_what_is_too_long_shows_that_there_is_more(words, width, fitted):
    assert fit(words, width, UNICODE) == fitted


def test_a_bar_is_as_full_as_its_share():
    assert [bar(share, 4, ASCII) for share in (-1, 0, 0.5, 1, 7)] == ["----", "----", "##--", "####", "####"]


def test_numbers_stand_on_the_right():
    assert row([("peer", 6), ("12", 4)], ASCII) == "peer     12"


@pytest.mark.parametrize("width", [10, 20, 40])
def test_a_title_is_as_wide_as_its_section(width):
    assert cell_len(title("a long name of a section", width, UNICODE).plain) == width
