import tomllib
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from peer.config.describe import describe, shown, toml
from protocol.foreign import TaskName
from protocol.manifest import Positive


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (bool, "true or false"),
        (Positive, "a whole number from 1"),
        (Annotated[int, Meta(ge=2, le=1 << 20)], "a whole number from 2 to 1048576"),
        (Annotated[float, Meta(ge=0.0, lt=1.0)], "a number from 0 and below 1"),
        (Annotated[float, Meta(gt=0.0, le=0.5)], "a number above 0 and at most 0.5"),
        (Literal["a", "b"], 'one of "a", "b"'),
        (Annotated[str, Meta(min_length=1)], "text"),
        (
            Annotated[str, Meta(min_length=1, max_length=9, pattern="^a*$")],
            "text of 1 to 9 characters that matches ^a*$",
        ),
        (
            Annotated[str, Meta(min_length=1, max_length=9, pattern=r"^[A-Za-z0-9 ._-]+$")],
            "text of 1 to 9 characters: letters, digits, spaces and . _ -",
        ),
        (TaskName, "text of at most 64 characters: letters, digits and . _ -; the first: letters, digits"),
        (
            Annotated[tuple[Literal["a", "b"], ...], Meta(min_length=1, max_length=8)],
            'a list of 1 to 8, each one of "a", "b"',
        ),
        (Annotated[int, Meta(ge=-(2**53), le=2**53)], "a whole number"),
        (
            Annotated[dict[str, bool | Annotated[str, Meta(max_length=9)]], Meta(max_length=4)],
            "a table of at most 4 names, each with true or false, or text of at most 9 characters",
        ),
    ],
)
def test_what_a_key_may_hold_in_words(kind, words):
    assert describe(kind) == words


_SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"))
)


@given(_SCALARS | st.lists(_SCALARS))
def test_values_are_written_as_toml_reads_them(value):
    assert tomllib.loads(f"x = {toml(value)}") == {"x": value}


def test_a_date_and_a_table_can_be_repeated():
    table = tomllib.loads("x = {day = 1979-05-27, at = 07:32:00}")["x"]
    assert shown(table) == "{day = 1979-05-27, at = 07:32:00}"


def test_a_long_value_is_cut():
    assert shown("a" * 1000) == '"' + "a" * 56 + "..."
