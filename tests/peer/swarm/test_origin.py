"""Who counts as one host."""

import pytest

from peer.swarm.origin import origin_of


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", "2001:0db8:0000:0000"),
        ("2001:db8::ffff:1", "2001:0db8:0000:0000"),
        ("2001:db8:0:1::1", "2001:0db8:0000:0001"),
    ],
)
def test_an_ipv6_network_is_one_host_and_a_mapped_address_is_what_it_maps(host, origin):
    assert origin_of(host) == origin


def test_what_is_no_address_has_no_origin():
    with pytest.raises(ValueError, match="does not appear"):
        origin_of("example.org")
