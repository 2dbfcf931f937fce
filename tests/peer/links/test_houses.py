"""What a switch is told on its command line."""

import pytest

from peer.links.houses import House, house
from peer.links.ladder import LADDER


def test_a_house_has_a_name_a_line_and_ports():
    assert house("volunteer-1=cable:4011,4012") == House("volunteer-1", LADDER["cable"], (4011, 4012))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("volunteer-1", "NAME=LINK"),
        ("=cable:1", "NAME=LINK"),
        ("a=modem:1", "modem"),
        ("a=cable:", "no ports"),
        ("a=cable:1,x", "no ports"),
        ("a=cable:65536", "no ports"),
    ],
)
def test_what_is_wrong_with_it_is_said(text, said):
    with pytest.raises(ValueError, match=said):
        house(text)
