import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.daemon.known_peers import MAX_SIZE, MOST, KnownPeer, merge, parse_known, write_known
from peer.swarm.transport import Contact

PEERS = st.lists(
    st.builds(
        KnownPeer,
        st.text(min_size=1, max_size=8),
        st.lists(st.text(max_size=20), max_size=3).map(tuple),
        st.floats(0, 2e9),
    ),
    unique_by=lambda peer: peer.peer_id,
)


@given(PEERS)
def test_what_is_written_is_read_the_last_seen_first(peers):
    read = parse_known(write_known(peers))
    assert sorted(read, key=lambda peer: peer.peer_id) == sorted(peers, key=lambda peer: peer.peer_id)
    assert [peer.last_seen for peer in read] == sorted((peer.last_seen for peer in peers), reverse=True)


@given(PEERS.filter(bool), st.data())
def test_no_damage_does_more_than_lose_peers(peers, data):
    written = bytearray(write_known(peers))
    place = data.draw(st.integers(0, len(written) - 1))
    written[place] = data.draw(st.integers(0, 255))
    assert len(parse_known(bytes(written))) <= len(peers)
    assert len(parse_known(bytes(written[:place]))) <= len(peers)


GOOD = {"peer_id": "a", "addresses": ["/ip4/1.2.3.4/tcp/1"], "last_seen": 5.0}


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        {},
        {**GOOD, "peer_id": ""},
        {**GOOD, "peer_id": "x" * 65},
        {**GOOD, "addresses": "x"},
        {**GOOD, "addresses": ["x"] * 17},
        {**GOOD, "addresses": ["x" * 257]},
        {**GOOD, "last_seen": "yesterday"},
        {**GOOD, "last_seen": float("nan")},
        {**GOOD, "last_seen": float("inf")},
    ],
)
def test_one_bad_entry_costs_no_good_one(bad):
    data = json.dumps([bad, {**GOOD, "peer_id": "b"}]).encode()
    assert [peer.peer_id for peer in parse_known(data)] == ["b"]


@pytest.mark.parametrize(
    "data", [b"", b"x", b"{}", b"3", b"[" * 100_000, b"\xff", b"[" + b" " * MAX_SIZE + b"]"]
)
def test_a_file_that_is_no_cache_is_empty(data):
    assert parse_known(data) == []


def test_peers_in_view_replace_what_was_known_of_them():
    known = [KnownPeer("a", ("old",), 1.0), KnownPeer("b", ("b",), 2.0)]
    assert merge(known, [Contact("a", ("new",))], 3.0) == [
        KnownPeer("a", ("new",), 3.0),
        KnownPeer("b", ("b",), 2.0),
    ]


def test_those_longest_unseen_fall_out():
    known = [KnownPeer(f"old-{index}", (), float(index)) for index in range(MOST)]
    merged = merge(known, [Contact("new", ())], 1e9)
    assert len(merged) == MOST
    assert merged[0].peer_id == "new"
    assert "old-0" not in {peer.peer_id for peer in merged}


def test_the_largest_cache_is_worth_reading():
    known = [KnownPeer(f"{index:064d}", ("x" * 256,) * 16, float(index)) for index in range(MOST)]
    assert len(parse_known(write_known(known))) == MOST
