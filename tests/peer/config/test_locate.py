import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.config.describe import toml
from peer.config.locate import line_of, locate

TEXT = '''\
# [model] in a comment
name = "a # b"   # trailing
codecs = [
  "int8",  # ] not the end
  "fp32",
]
data = { source = "text", path = "x" }
inner.batch = 4
note = """
[outer]
every = 3
"""
quote = """a quote at the end: """""
literal = \'\'\'
seed = 4\'\'\'

[model]
layers = 1

  [ outer ]
"every" = 5
'alpha' = 0.5

[[inner.list]]
x = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 2),
        (("codecs",), 3),
        (("data",), 7),
        (("data", "source"), 7),
        (("inner",), 8),
        (("inner", "batch"), 8),
        (("note",), 9),
        (("quote",), 13),
        (("literal",), 14),
        (("model",), 17),
        (("model", "layers"), 18),
        (("model", "heads"), 17),
        (("outer",), 20),
        (("outer", "every"), 21),
        (("outer", "alpha"), 22),
        (("inner", "list"), 24),
        (("seed",), 1),
    ],
)
def test_keys_stand_on_their_lines(path, line):
    tomllib.loads(TEXT)
    assert line_of(locate(TEXT), path) == line


def test_windows_line_ends_count_once():
    assert locate("a = 1\r\n\r\nb = 2\r\n") == {(): 1, ("a",): 1, ("b",): 3}


@given(st.lists(st.text() | st.lists(st.text())))
def test_no_value_hides_the_keys_below_it(values):
    values = [value for value in values if _is_toml(value)]
    text = "".join(f"k{index} = {toml(value)}\n" for index, value in enumerate(values))
    lines = locate(text)
    assert [lines[f"k{index}",] for index in range(len(values))] == list(range(1, len(values) + 1))


@given(st.text(alphabet="a.=[]{}\"'\\#\n ,1"))
def test_any_file_that_toml_accepts_has_all_its_keys_located(text):
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = locate(text)
    assert len([path for path in lines if len(path) == 1]) == len(table)


def _is_toml(value: object) -> bool:
    try:
        tomllib.loads(f"x = {toml(value)}")
    except (tomllib.TOMLDecodeError, UnicodeEncodeError):
        return False
    return True
