import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.errors import UsageError
from peer.swarm.libp2p_host.addresses import Address, announced, check_bootstraps, dialable, parse, parse_full
from peer.swarm.transport import TransportError
from protocol.limits import MAX_ADDRESSES

INTERFACES = {
    4: ["127.0.0.1", "127.0.1.1", "192.0.2.7", "169.254.1.1", "10.1.2.3"],
    6: ["::1", "fe80::1", "2001:db8::7"],
}


def texts(addresses):
    return [str(address) for address in addresses]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/ip4/192.0.2.1/tcp/4001", Address("ip4", "192.0.2.1", 4001)),
        ("/ip6/2001:db8::1/tcp/0", Address("ip6", "2001:db8::1", 0)),
        ("/dns4/seed.example.org/tcp/65535", Address("dns4", "seed.example.org", 65535)),
        ("/dns/localhost/tcp/1", Address("dns", "localhost", 1)),
    ],
)
def test_parse(text, address):
    assert parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "192.0.2.1:4001",
        "/ip4/192.0.2.1/tcp/",
        "/ip4/192.0.2.1/tcp/-1",
        "/ip4/192.0.2.1/tcp/65536",
        "/ip4/192.0.2.1/tcp/٤٠",
        "/ip4/192.0.2.1/udp/4001",
        "/ip4/192.0.2.1/tcp/4001/ws",
        "/ip4/2001:db8::1/tcp/1",
        "/ip6/192.0.2.1/tcp/1",
        "/ip6/fe80::1%eth0/tcp/1",
        "/ip4/1.2.3/tcp/1",
        "/dns4//tcp/1",
        "/dns4/a b/tcp/1",
        "/dns4/" + "a" * 300 + "/tcp/1",
        "ip4/192.0.2.1/tcp/4001",
    ],
)
def test_parse_refuses(text):
    with pytest.raises(ValueError, match=r"is no|IPv"):
        parse(text)


@given(st.text(alphabet="/ip46dnstcp.:019 %\x00é", max_size=60))
def test_parse_says_only_value_error(text):
    try:
        address = parse(text)
    except ValueError:
        return
    assert parse(str(address)) == address


def test_parse_full():
    assert parse_full("/ip4/192.0.2.1/tcp/4001/p2p/12D3KooW") == (
        Address("ip4", "192.0.2.1", 4001),
        "12D3KooW",
    )
    for text in ("/ip4/192.0.2.1/tcp/4001", "/ip4/192.0.2.1/tcp/4001/p2p/", "/p2p/12D3KooW", ""):
        with pytest.raises(TransportError):
            parse_full(text)


def test_dialable_keeps_what_leads_somewhere():
    claims = [
        "/ip4/192.0.2.1/tcp/4001",
        "/ip4/192.0.2.1/tcp/4001",
        "/ip4/0.0.0.0/tcp/4001",
        "/ip4/224.0.0.1/tcp/4001",
        "/ip4/192.0.2.2/tcp/0",
        "/dns4/example.org/tcp/1",
        "rubbish",
    ]
    assert texts(dialable(claims, names=False)) == ["/ip4/192.0.2.1/tcp/4001"]
    assert texts(dialable(claims, names=True)) == ["/ip4/192.0.2.1/tcp/4001", "/dns4/example.org/tcp/1"]


def test_dialable_is_bounded():
    endless = (f"/ip4/192.0.2.1/tcp/{1 + number % 60_000}" for number in range(10**9))
    assert len(dialable(endless, names=False)) == MAX_ADDRESSES


@pytest.mark.parametrize(
    ("listening", "loopback", "expected"),
    [
        ("/ip4/0.0.0.0/tcp/4001", False, ["/ip4/192.0.2.7/tcp/4001", "/ip4/10.1.2.3/tcp/4001"]),
        ("/ip6/::/tcp/4001", False, ["/ip6/2001:db8::7/tcp/4001"]),
        ("/ip6/::/tcp/4001", True, ["/ip6/2001:db8::7/tcp/4001", "/ip6/::1/tcp/4001"]),
        ("/ip4/127.0.0.1/tcp/4001", False, ["/ip4/127.0.0.1/tcp/4001"]),
        ("/ip4/192.0.2.7/tcp/4001", True, ["/ip4/192.0.2.7/tcp/4001"]),
    ],
)
def test_announced(listening, loopback, expected):
    assert texts(announced([listening], INTERFACES.__getitem__, loopback=loopback)) == expected


def test_a_bootstrap_is_a_full_address():
    good = "/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWEfY2TmhEWp1scTkNTgGcB6sBdaeicFJXJjeBmUpFMyg8"
    check_bootstraps([good])
    for bad in ("192.0.2.1:4001", "/ip4/192.0.2.1/tcp/4001", good[:-4], good.replace("tcp", "udp")):
        with pytest.raises(UsageError, match=f"--bootstrap {bad} is no address of a peer"):
            check_bootstraps([good, bad])
