import pytest

from peer.cli.rates import rate
from peer.errors import UsageError


@pytest.mark.parametrize(
    ("text", "found"),
    [("20Mbit", 2.5e6), ("2.5MB", 2.5e6), ("1 Gbit/s", 125e6), ("64kB/s", 64e3), ("512kbit", 64e3)],
)
def test_rates_have_a_unit_in_bits_or_bytes(text, found):
    assert rate(text) == found


@pytest.mark.parametrize(
    "text", ["20", "", "fast", "-1MB", "1e3MB", "20mbit", "20MBit", "1TB", "nanMB", "9" * 99]
)
def test_what_is_no_rate_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match=r"Write it like 20Mbit"):
        rate(text)


def test_too_little_to_take_part_is_refused():
    with pytest.raises(UsageError, match="at least 512kbit"):
        rate("100kbit")
