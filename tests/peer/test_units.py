import pytest

from peer.errors import UsageError
from peer.units import count, duration, rate, size


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
        (duration, "5 min", 300),
        (duration, "1.5h", 5400),
        (rate, "20Mbit", 2.5e6),
        (rate, "2.5MB", 2.5e6),
        (rate, "1 Gbit/s", 125e6),
        (rate, "64kB/s", 64e3),
        (rate, "512kbit", 64e3),
    ],
)
def test_numbers_are_read_as_people_write_them(parse, text, found):
    assert parse(text) == pytest.approx(found)


@pytest.mark.parametrize("parse", [count, size, duration, rate])
@pytest.mark.parametrize("text", ["", "many", "-1", "1e9", "0x10", "160 Mb", "1e3MB", "nanMB", "9" * 99])
def test_what_is_none_is_refused_with_an_example(parse, text):
    with pytest.raises(UsageError, match="Write it like"):
        parse(text)


@pytest.mark.parametrize("text", ["20", "20mbit", "20MBit", "1TB"])
def test_rates_have_a_unit_in_bits_or_bytes(text):
    with pytest.raises(UsageError, match="Write it like 20Mbit"):
        rate(text)


def test_too_little_to_take_part_is_refused():
    with pytest.raises(UsageError, match="at least 512kbit"):
        rate("100kbit")
