import pytest

from peer.cli.units import count, duration, size
from peer.errors import UsageError


@pytest.mark.parametrize(
    ("parse", "text", "found"),
    [
        (count, "160M", 160e6),
        (count, "1.3B", 1.3e9),
        (count, "165T", 165e12),
        (count, "124,000,000", 124e6),
        (size, "500GB", 5e11),
        (size, "1.5 TB", 1.5e12),
        (duration, "100ms", 0.1),
        (duration, "0.1s", 0.1),
    ],
)
def test_numbers_are_read_as_people_write_them(parse, text, found):
    assert parse(text) == pytest.approx(found)


@pytest.mark.parametrize("parse", [count, size, duration])
@pytest.mark.parametrize("text", ["", "many", "-1", "1e9", "0x10", "160 Mb"])
def test_what_is_none_is_refused_with_an_example(parse, text):
    with pytest.raises(UsageError, match="Write it like"):
        parse(text)
