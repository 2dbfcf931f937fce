"""The DHT of a run: guards 7, 8 and 9, and what it is for."""

import signal
from contextlib import AsyncExitStack

import pytest
import trio
import trio.lowlevel
from libp2p.kad_dht.kad_dht import KadDHT
from libp2p.network.stream.exceptions import StreamError
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStoreError

from peer.swarm.libp2p_host import TableLimits, questions
from peer.swarm.libp2p_host.questions import RunHost
from peer.swarm.transport import Contact, TransportError
from protocol.limits import MAX_STORED
from tests.peer.swarm.libp2p_host.rules import RUN, NumberedRecords, record
from tests.peer.swarm.libp2p_host.support import USUAL_TABLE, assert_serves, child, contact_of, ours, until

pytestmark = pytest.mark.anyio
RULES = NumberedRecords()


async def swarm(stack, count, first=1, run=RUN, table=USUAL_TABLE):
    """Hosts of one run, each of which knew the first."""
    hosts = []
    for number in range(first, first + count):
        host = await stack.enter_async_context(ours(number, table=table))
        await host.join_table(run, [contact_of(other) for other in hosts[:1]], RULES)
        hosts.append(host)
    return hosts


async def write_for_ever(stream):
    while True:
        await stream.write(bytes(1000))
        await trio.lowlevel.checkpoint()


@pytest.fixture
async def stack():
    async with AsyncExitStack() as stack:
        yield stack


async def test_everybody_finds_everybody(stack):
    hosts = await swarm(stack, 5)
    for host in hosts:
        await until(lambda host=host: host.statistics().dht_peers == 4)
        found = await host.random_peers(10)
        assert {contact.peer_id for contact in found} == {other.peer_id for other in hosts} - {host.peer_id}
        assert all(contact.addresses for contact in found)
        assert len(await host.random_peers(2)) == 2


async def test_records_and_their_updates_are_seen_by_all(stack):
    hosts = await swarm(stack, 5)
    for number in (1, 2):
        for author in hosts[:2]:
            await author.publish(record(author.peer_id, number, padding=100))
        for reader in hosts:
            for author in hosts[:2]:
                seen = await reader.look_up(author.peer_id)
                assert seen == record(author.peer_id, number, padding=100)


async def test_a_record_of_the_largest_size_is_seen(stack):
    author, _, reader = await swarm(stack, 3)
    largest = record(author.peer_id, 1)
    largest += bytes(MAX_STORED - len(largest))
    await author.publish(largest)
    assert await reader.look_up(author.peer_id) == largest


async def test_a_peer_without_known_addresses_is_drawn_and_its_record_found(stack):
    author, other, reader = await swarm(stack, 3)
    await until(lambda: reader.statistics().dht_peers == 2)
    await author.publish(record(author.peer_id, 1))
    store = reader._table._run.get_peerstore()
    known = store.addrs

    def forgotten(peer):
        if peer == ID.from_base58(author.peer_id):
            raise PeerStoreError("no addresses")
        return known(peer)

    store.addrs = forgotten
    found = {contact.peer_id: contact.addresses for contact in await reader.random_peers(5)}
    assert found[author.peer_id] == ()
    assert found[other.peer_id]
    assert await reader.look_up(author.peer_id) == record(author.peer_id, 1)


async def test_the_table_is_kept_up_though_its_first_walk_was_cut(monkeypatch, stack):
    walks = []

    async def walk(table):
        walks.append(table)
        if len(walks) == 1:
            await trio.sleep_forever()

    monkeypatch.setattr("peer.swarm.libp2p_host.table.RunTable.walk", walk)
    host = await stack.enter_async_context(ours(1, table=TableLimits(refresh=0.05)))
    with trio.move_on_after(0.01):
        await host.join_table(RUN, [], RULES)
    await until(lambda: len(walks) > 2)


async def test_stock_look_up_is_stale(stack):
    author, reader, _ = await swarm(stack, 3)
    await author.publish(record(author.peer_id, 1))
    assert await reader.look_up(author.peer_id) == record(author.peer_id, 1)
    # An update that this reader missed.
    reader._host.remove_stream_handler(reader._table._run._protocol)
    await author.publish(record(author.peer_id, 2))
    dht: KadDHT = reader._table._dht
    assert await dht.get_value(f"/mm/{author.peer_id}") == record(author.peer_id, 1)
    assert await reader.look_up(author.peer_id) == record(author.peer_id, 2)


async def test_record_outlives_its_author(stack):
    holder, *_ = await swarm(stack, 1)
    async with ours(9) as author:
        await author.join_table(RUN, [contact_of(holder)], RULES)
        await author.publish(record(author.peer_id, 1))
    assert await holder.look_up(author.peer_id) == record(author.peer_id, 1)
    assert await holder.look_up(author.peer_id) == record(author.peer_id, 1)


async def test_nobody_takes_the_record_of_a_loner(stack):
    (alone,) = await swarm(stack, 1)
    with pytest.raises(TransportError, match="no peer took"):
        await alone.publish(record(alone.peer_id, 1))
    assert await alone.random_peers(5) == []
    assert await alone.look_up(contact_of(alone).peer_id) == record(alone.peer_id, 1)
    late = await stack.enter_async_context(ours(2))
    await late.join_table(RUN, [contact_of(alone)], RULES)
    await until(lambda: alone.statistics().dht_peers)
    await alone.publish(record(alone.peer_id, 2))
    assert await late.look_up(alone.peer_id) == record(alone.peer_id, 2)


async def test_unknown_peer_has_no_record(stack):
    hosts = await swarm(stack, 2)
    assert await hosts[0].look_up(contact_of(hosts[1]).peer_id) is None
    with pytest.raises(TransportError):
        await hosts[0].look_up("nobody")


async def test_records_that_break_the_rules_are_refused(stack):
    one, two = await swarm(stack, 2)
    for bad in (b"", b"rubbish", record(two.peer_id, 1), record(one.peer_id, 1, padding=MAX_STORED)):
        with pytest.raises(TransportError):
            await one.publish(bad)
    # The same, past our own check.
    store, peer = one._table._records, ID.from_base58(two.peer_id)
    for key, value in [
        (f"/mm/{one.peer_id}", b"rubbish"),
        (f"/mm/{one.peer_id}", record(two.peer_id, 1)),
        (f"/mm/{one.peer_id}", record(one.peer_id, 1, padding=MAX_STORED)),
        ("/other/key", b"value"),
        ("key", b"value"),
    ]:
        assert not await store._store_at_peer(peer, key.encode(), value)
    assert two._table._records.size() == 0
    assert await store._store_at_peer(peer, f"/mm/{one.peer_id}".encode(), record(one.peer_id, 1))


async def test_older_record_replaces_no_newer(stack):
    one, two = await swarm(stack, 2)
    await one.publish(record(one.peer_id, 5))
    with pytest.raises(TransportError):
        await one.publish(record(one.peer_id, 4))
    assert await two.look_up(one.peer_id) == record(one.peer_id, 5)


@pytest.mark.parametrize("guarded", [True, False])
async def test_runs_do_not_mix(monkeypatch, stack, guarded):
    if not guarded:
        monkeypatch.setattr(RunHost, "_named", lambda host, protocol: protocol)
        monkeypatch.setattr(RunHost, "get_peerstore", lambda host: host._host.get_peerstore())
    ones = await swarm(stack, 2, first=1)
    others = await swarm(stack, 2, first=11, run=bytes(32))
    await ones[0].dial(others[0].addresses[0])
    await until(lambda: ID.from_base58(ones[0].peer_id) in others[0]._host._identified_peers)
    for host in (*ones, *others):
        await host._table.walk()
    found = {contact.peer_id for contact in await ones[1].random_peers(10)}
    assert (found == {ones[0].peer_id}) == guarded
    # and what serves one run's records does not serve the other's
    await ones[0].publish(record(ones[0].peer_id, 1))
    assert (await others[1].look_up(ones[0].peer_id) is None) == guarded


async def test_peer_met_later_joins_the_table(stack):
    one, two = await stack.enter_async_context(ours(1)), await stack.enter_async_context(ours(2))
    await one.join_table(RUN, [], RULES)
    await two.join_table(RUN, [Contact(one.peer_id, ("/ip4/127.0.0.1/tcp/1",))], RULES)
    assert two.statistics().dht_peers == 0
    await two.dial(one.addresses[0])
    assert [contact.peer_id for contact in await two.random_peers(3)] == [one.peer_id]


@pytest.mark.processes
async def test_frozen_peer_costs_once(stack):
    limits = TableLimits(answer=1.0, ban=60)
    hosts = await swarm(stack, 2, table=limits)
    async with child(9, hosts[0].addresses[0]) as (process, address):
        frozen = address.rpartition("/")[2]

        def known(host):
            return ID.from_base58(frozen) in host._table._table.get_peer_ids()

        await hosts[1].dial(address)
        await until(lambda: all(known(host) for host in hosts))
        process.send_signal(signal.SIGSTOP)
        for number, host in enumerate(hosts):
            with trio.fail_after(3):
                await host.publish(record(host.peer_id, number))
            assert not known(host)
            assert host.statistics().dht_evictions == 1
            with trio.fail_after(0.8):  # less than one answer's limit
                assert await host.look_up(host.peer_id) == record(host.peer_id, number)
                assert frozen not in {contact.peer_id for contact in await host.random_peers(20)}
            assert host.statistics().dht_evictions == 1


async def test_evicted_peer_that_speaks_is_back(stack):
    one, two = await swarm(stack, 2, table=TableLimits(answer=0.2))
    peer = ID.from_base58(two.peer_id)
    one._table._run._ban(peer)
    assert one.statistics().dht_peers == 0
    assert await one.random_peers(3) == []
    await two.random_peers(3)
    assert one.statistics().dht_peers == 1
    assert [contact.peer_id for contact in await one.random_peers(3)] == [two.peer_id]


async def test_many_questions_at_once_ban_nobody(stack):
    hosts = await swarm(stack, 3)
    await hosts[0].publish(record(hosts[0].peer_id, 1))
    async with trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(hosts[1].look_up, hosts[0].peer_id)
    assert hosts[1].statistics().dht_evictions == 0
    assert await hosts[1].look_up(hosts[0].peer_id) == record(hosts[0].peer_id, 1)


async def test_question_that_never_ends_is_cut(monkeypatch, stack):
    """Stock 0.8.1 has 12 slots for questions, and waits in each for ever."""
    monkeypatch.setattr(questions, "_SERVED_FOR", 0.5)
    one, two = await swarm(stack, 2)
    protocol = one._table._run._protocol
    slots = two._table._dht._inbound_limiter
    quiet = [await one._host.new_stream(ID.from_base58(two.peer_id), [protocol]) for _ in range(8)]
    await until(lambda: slots.borrowed_tokens == 4)
    await until(lambda: not slots.borrowed_tokens, limit=3)
    for stream in quiet:
        await stream.reset()
    await one.publish(record(one.peer_id, 1))


async def test_long_question_is_cut(stack):
    one, two = await swarm(stack, 2)
    stream = await one._host.new_stream(ID.from_base58(two.peer_id), [one._table._run._protocol])
    with trio.move_on_after(5):
        await stream.write(b"\x80\x80\x80\x01" + bytes(200_000))  # 2 MiB announced
    with pytest.raises(StreamError):
        await write_for_ever(stream)
    await assert_serves(two)
