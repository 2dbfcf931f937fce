import random

import pytest
import trio

from peer.swarm.view import MOST_PEERS, NEWEST, SHUNNED, View
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.records import PeerRecord, sign_record

RUN = b"r" * 32
OWN = Identity(b"o" * 32)


def _identity(index):
    return Identity(index.to_bytes(32, "big"))


def _record(index, sequence=1, **changes):
    identity = _identity(index)
    fields = {"addresses": (f"/ip4/192.0.2.{index % 250}/tcp/1",), "shard": index % 65536} | changes
    record = PeerRecord(run_id=RUN, peer_id=identity.peer_id, sequence=sequence, **fields)
    return sign_record(record, identity)


@pytest.fixture
async def view():
    return View(OWN.peer_id, RUN, rng=random.Random(0))


@pytest.mark.anyio
async def test_word_of_mouth_alone_proves_no_life(view):
    peer_id = view.learn(_record(1))
    assert view.draw() is None
    assert view.statistics().live == 0
    view.answered(peer_id)
    assert view.draw().peer_id == peer_id
    assert view.statistics().live == 1


@pytest.mark.anyio
async def test_partners_are_drawn_uniformly(view):
    for index in range(4):
        view.answered(view.learn(_record(index)))
    drawn = [view.draw().peer_id for _ in range(4000)]
    assert all(900 < drawn.count(_identity(index).peer_id) < 1100 for index in range(4))


@pytest.mark.anyio
async def test_who_is_shunned_is_not_forgiven(view):
    honest, liar = (view.learn(_record(index)) for index in range(2))
    for peer_id in (honest, liar):
        view.answered(peer_id)
        view.exchanged(peer_id, well=False)
    view.shun(liar)
    view.forgive()
    assert (view.avoided(honest), view.avoided(liar)) == (0.0, pytest.approx(SHUNNED, abs=1))
    assert [contact.peer_id for contact in view.willing()] == [honest]
    assert {view.draw().peer_id for _ in range(20)} == {honest}


@pytest.mark.anyio
async def test_who_is_behind_a_relay_is_drawn_where_nobody_else_is_free(view):
    relayed, direct = (view.learn(_record(index)) for index in range(2))
    view.answered(relayed)
    view.is_relayed = relayed.__eq__
    assert view.draw().peer_id == relayed
    view.answered(direct)
    assert {view.draw().peer_id for _ in range(50)} == {direct}
    view.busy(direct, 5.0)
    assert view.draw().peer_id == relayed


@pytest.mark.anyio
async def test_relays_are_those_that_answer_and_offer_it(view):
    offering = [view.learn(_record(index, relay=True)) for index in range(3)]
    for peer_id in (view.learn(_record(3)), *offering[:2]):
        view.answered(peer_id)
    assert sorted(contact.peer_id for contact in view.relays()) == sorted(offering[:2])


@pytest.mark.anyio
async def test_three_missed_answers_drop_a_peer_and_only_a_newer_record_brings_it_back(view):
    peer_id = view.learn(_record(1, sequence=5))
    view.answered(peer_id)
    changes = []
    view.on_change(lambda peer, what: changes.append((peer, what)))
    view.missed(peer_id)
    assert view.draw() is None, "a peer that has just missed an answer is left out of the draw"
    view.missed(peer_id)
    view.missed(peer_id)
    assert changes == [(peer_id, "silent")]
    assert view.learn(_record(1, sequence=5)) is None
    assert view.learn(_record(1, sequence=6)) == peer_id


@pytest.mark.anyio
async def test_a_goodbye_counts_whoever_brings_it_and_outlives_older_records(view):
    peer_id = view.learn(_record(1, sequence=5))
    view.answered(peer_id)
    view.learn(_record(1, sequence=6, goodbye=True))
    assert not view.live()
    view.learn(_record(1, sequence=5))
    assert not view.known()


@pytest.mark.anyio
async def test_an_older_record_does_not_move_a_peer(view):
    view.learn(_record(1, sequence=2, addresses=("/new",)))
    view.learn(_record(1, sequence=1, addresses=("/old",)))
    assert view.contact(_identity(1).peer_id).addresses == ("/new",)


@pytest.mark.anyio
async def test_bad_records_spoil_only_themselves(view):
    other_run = PeerRecord(run_id=b"s" * 32, peer_id=_identity(2).peer_id, sequence=1, addresses=(), shard=0)
    good, bad = _record(1), sign_record(other_run, _identity(2))
    with pytest.raises(ProtocolError):
        view.learn(bad)
    assert view.learn_all([bad, good, bad]) == [_identity(1).peer_id]


@pytest.mark.anyio
async def test_a_flood_of_invented_peers_never_pushes_out_a_live_one(view):
    view.answered(view.learn(_record(0)))
    for index in range(1, MOST_PEERS + 20):
        view.learn(_record(index))
    assert len(view.known()) == MOST_PEERS
    assert [contact.peer_id for contact in view.live()] == [_identity(0).peer_id]


@pytest.mark.anyio
async def test_a_busy_peer_is_left_alone_until_it_is_free(view):
    peer_id = view.learn(_record(1))
    view.answered(peer_id)
    view.busy(peer_id, 5.0)
    assert view.draw() is None
    assert view.next_free() == pytest.approx(trio.current_time() + 5)
    await trio.sleep(5)
    assert view.draw() is not None


@pytest.mark.anyio
async def test_a_peer_whose_exchanges_fail_is_avoided_each_time_for_longer(view):
    peer_id = view.learn(_record(1))
    view.answered(peer_id)
    for pause in (10, 20, 40):
        view.exchanged(peer_id, well=False)
        assert view.avoided(peer_id) == pytest.approx(pause)
        assert view.draw() is None
        await trio.sleep(pause)
        assert view.avoided(peer_id) == 0
        assert view.draw() is not None
    view.exchanged(peer_id, well=True)
    view.exchanged(peer_id, well=False)
    assert view.avoided(peer_id) == pytest.approx(10)
    for _ in range(20):
        view.exchanged(peer_id, well=False)
    assert view.avoided(peer_id) <= 600


@pytest.mark.anyio
async def test_being_alone_is_counted_from_the_moment_the_last_one_left(view):
    await trio.sleep(7)
    assert view.statistics().alone_seconds == pytest.approx(7)
    peer_id = view.learn(_record(1))
    view.answered(peer_id)
    assert view.statistics().alone_seconds == 0
    await trio.sleep(5)
    view.learn(_record(1, sequence=2, goodbye=True))
    await trio.sleep(3)
    assert view.statistics().alone_seconds == pytest.approx(3)


@pytest.mark.anyio
async def test_a_round_trip_follows_the_last_answers_without_jumping(view):
    peer_id = view.learn(_record(1))
    assert view.round_trip(peer_id) is None
    view.timed(peer_id, 0.1)
    assert view.round_trip(peer_id) == 0.1
    view.timed(peer_id, 1.1)
    assert view.round_trip(peer_id) == pytest.approx(0.1 + NEWEST)
    view.timed("a stranger", 0.1)
    assert view.round_trip("a stranger") is None


@pytest.mark.anyio
async def test_what_counts_is_how_far_those_are_who_were_not_away(view):
    view.learn(_record(1, outer_step=7))
    assert view.outer_steps() == {}, "word of mouth tells nothing of now"
    back = view.learn(_record(2, outer_step=3, away=True))
    view.answered(back)
    assert (view.outer_steps(), view.others_were_here()) == ({back: 3}, False)
    beginning, there = view.learn(_record(3)), view.learn(_record(4, outer_step=90))
    view.answered(beginning)
    assert (view.outer_steps(), view.others_were_here()) == ({back: 3}, False)
    view.answered(there)
    assert (view.outer_steps(), view.others_were_here()) == ({there: 90}, True)
