"""Newcomers: several donors at once, liars, the dead, drips, crowds, restarts, and a disk that is full."""

import errno
from collections import Counter
from contextlib import suppress

import pytest
import trio
from msgspec.structs import replace as changed

from peer.errors import HomeError
from peer.simulate.flock import Flock
from peer.simulate.network import Link
from peer.swarm.assembly import Assembly
from peer.swarm.calls import RefusedError, conversation
from peer.swarm.guests import LINGER, PLACES
from peer.swarm.newcomer import HOPELESS, MOST_BEHIND, NO_CHUNK, RETRY
from peer.swarm.service import PieceOf
from peer.swarm.transport import Contact, TransportError
from protocol.codec import encode
from protocol.messages import AskState, Busy, Full, Piece, Pull, StateIs
from protocol.state_index import SMALLEST_CHUNK, open_index, sign_index
from tests.peer.swarm.newcomers import assembly, content, flying, give, givers, newcomer, small

pytestmark = pytest.mark.anyio

MB = 1_000_000
CHUNK = SMALLEST_CHUNK


def _flock(tmp_path, donors, **options):
    """Return a flock of so many donors and a guest."""
    flock = Flock(tmp_path, small)
    first = flock.hatch(**options)
    for _ in range(donors):
        flock.hatch(through=(first,), **options)
    return flock, flock.birds[:-1], flock.birds[-1]


def _lies(bird):
    """Let a bird send other bytes than it has signed."""

    async def lie(caller, call):
        return PieceOf(Piece(length=call.length, sha256=bytes(32)), bytes(call.length))

    bird.swarm.service.serve(Pull, lie)


def _answers(bird, answer):
    """Let a bird answer `AskState` so; return who asked."""
    asked = []

    async def serve(caller, call):
        asked.append(caller)
        return answer

    bird.swarm.service.serve(AskState, serve)
    return asked


async def test_one_donor_of_three_dies_and_one_lies_and_the_state_comes_as_fast_as_the_links_of_the_rest(
    tmp_path,
):
    """100 MB, donors behind 20 Mbit/s, 100 ms there and back; the dying one gives for 10 s."""
    size, rate, alive = 100 * MB, 2.5 * MB, 10.0
    flock, donors, guest = _flock(tmp_path, 3, outer_steps=3, seconds=1.0)
    honest, dying, liar = donors
    flock.network.link = Link(delay=0.05)
    for donor in donors:
        flock.network.uplinks[donor.identity.peer_id] = Link(delay=0.05, rate=rate)

    async def die() -> None:
        await trio.sleep(alive)
        flock.kill(dying)

    async def use() -> None:
        states = {
            donor.identity.peer_id: give(donor, content(size, seed)) for seed, donor in enumerate(donors)
        }
        _lies(liar)
        into = assembly(flock, guest, size)
        joining = newcomer(flock, guest, size, into)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(die)
            assert await joining.fetch()
        seconds = trio.current_time() - began
        assert seconds <= 1.3 * (size - alive * rate) / rate
        gave = givers(into, states)
        assert set(gave) == {honest.identity.peer_id, dying.identity.peer_id}
        assert into.donors == (honest.identity.peer_id, dying.identity.peer_id)
        assert joining.statistics().lies >= 1
        assert guest.swarm.view.avoided(liar.identity.peer_id)

    await flying(flock, use)


async def test_several_donors_are_as_fast_as_their_links_together(tmp_path):
    size, rate = 20 * MB, 1 * MB
    flock, donors, guest = _flock(tmp_path, 4, outer_steps=3)
    for donor in donors:
        flock.network.uplinks[donor.identity.peer_id] = Link(rate=rate)

    async def use() -> None:
        for seed, donor in enumerate(donors):
            give(donor, content(size, seed))
        joining = newcomer(flock, guest, size)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(joining.fetch)
            await trio.sleep(3)
            told = joining.statistics()
            assert told.rate == pytest.approx(4 * rate, rel=0.3)
            assert told.received == pytest.approx(12 * MB, rel=0.3)
            assert told.seconds_left == pytest.approx((size - told.received) / told.rate)
            assert told.donors == 4
        assert trio.current_time() - began < 1.3 * size / (4 * rate)

    await flying(flock, use)


async def test_a_frozen_donor_does_not_hold_up_the_end(tmp_path):
    size = 3 * CHUNK
    flock, donors, guest = _flock(tmp_path, 2, outer_steps=3)
    honest, frozen = donors

    async def use() -> None:
        for seed, donor in enumerate(donors):
            give(donor, content(size, seed))

        async def freeze(caller, call):
            flock.freeze(frozen)
            await trio.sleep_forever()

        frozen.swarm.service.serve(Pull, freeze)
        into = assembly(flock, guest, size)
        began = trio.current_time()
        assert await newcomer(flock, guest, size, into).fetch()
        assert trio.current_time() - began < 2
        assert into.donors == (honest.identity.peer_id,)

    await flying(flock, use)


@pytest.mark.parametrize("end", ["killed", "stopped while it writes"])
async def test_a_newcomer_that_is_started_again_goes_on_with_what_it_has(tmp_path, end):
    size, rate = 20 * CHUNK, 0.5 * MB
    flock, (donor,), guest = _flock(tmp_path, 1, outer_steps=3)
    flock.network.uplinks[donor.identity.peer_id] = Link(rate=rate)

    async def use() -> None:
        state = give(donor, content(size, 0))
        first = assembly(flock, guest, size)
        with trio.move_on_after(0.6 * size / rate):
            await newcomer(flock, guest, size, first).fetch()
        had = size - len(first.missing) * CHUNK
        assert had >= 0.5 * size
        folder = first.file.parent
        if end == "stopped while it writes":
            for name in ("chunks", "indexes"):
                path = folder / name
                path.write_bytes(path.read_bytes() + b"\0\0\1")
            with first.file.open("r+b") as file:
                file.write(b"torn")
            had -= CHUNK
        second = assembly(flock, guest, size)
        began = trio.current_time()
        assert await newcomer(flock, guest, size, second).fetch()
        assert second.file.read_bytes() == state
        assert trio.current_time() - began < (size - had + 2 * CHUNK) / rate + 1

    await flying(flock, use)


async def test_a_donor_whose_state_makes_room_for_a_newer_one_is_asked_for_that_at_once(tmp_path):
    size, rate = 20 * CHUNK, 2 * CHUNK
    flock, (donor,), guest = _flock(tmp_path, 1, outer_steps=3)
    flock.network.uplinks[donor.identity.peer_id] = Link(rate=rate)

    async def use() -> None:
        states = {"old": give(donor, content(size, 0))}
        into = assembly(flock, guest, size)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(newcomer(flock, guest, size, into).fetch)
            await trio.sleep(size / rate / 2)
            states["new"] = give(donor, content(size, 1))
            donor.swarm._donor._give_way()
        assert set(givers(into, states)) == {"old", "new"}, "what has come stays"
        assert trio.current_time() - began < size / rate + RETRY + 3
        assert not guest.swarm.view.avoided(donor.identity.peer_id)

    await flying(flock, use)


async def test_what_was_kept_for_long_is_fetched_anew(tmp_path):
    size = 4 * CHUNK
    flock, donors, guest = _flock(tmp_path, 2, outer_steps=3)
    old, fresh = donors

    async def use() -> None:
        give(old, content(size, 0), outer_step=10)
        flock.network.uplinks[old.identity.peer_id] = Link(rate=CHUNK)
        new = give(fresh, content(size, 1), outer_step=10 + MOST_BEHIND + 1)
        _answers(fresh, Busy(seconds=1.0))
        kept = assembly(flock, guest, size)
        with trio.move_on_after(3.5):
            await newcomer(flock, guest, size, kept).fetch()
        assert 0 < len(kept.missing) < 4
        fresh.swarm.service.serve(AskState, fresh.swarm._donor.serve)
        _answers(old, Busy(seconds=1.0))
        again = assembly(flock, guest, size)
        assert await newcomer(flock, guest, size, again).fetch()
        assert again.file.read_bytes() == new
        assert again.progress.outer_step == 10 + MOST_BEHIND + 1

    await flying(flock, use)


async def test_the_progress_is_the_one_in_the_middle_whatever_one_donor_claims(tmp_path):
    size = 9 * CHUNK
    flock, donors, guest = _flock(tmp_path, 3, outer_steps=3)
    for donor in donors:
        flock.network.uplinks[donor.identity.peer_id] = Link(rate=2 * CHUNK)

    async def use() -> None:
        for donor, outer_step in zip(donors, (40, 1 << 40, 41), strict=True):
            give(donor, content(size, outer_step), outer_step=outer_step)
        into = assembly(flock, guest, size)
        assert await newcomer(flock, guest, size, into).fetch()
        assert len(into.donors) == 3
        assert into.progress.outer_step in (40, 41)

    await flying(flock, use)


async def test_a_donor_without_a_place_names_others_which_are_asked(tmp_path):
    flock, donors, guest = _flock(tmp_path, 2, outer_steps=3)
    full, other = donors

    async def use() -> None:
        record = other.swarm.membership.record()
        _answers(full, Full(seconds=60.0, others=(record,)))
        view = guest.swarm.view
        view._entries.pop(other.identity.peer_id)
        into = assembly(flock, guest)
        assert await newcomer(flock, guest, into=into).fetch()
        assert into.donors == (other.identity.peer_id,)

    await flying(flock, use)


async def test_a_crowd_of_newcomers_is_spread_over_the_donors_and_all_are_served(tmp_path, monkeypatch):
    monkeypatch.setattr("peer.swarm.guests.PLACES", 1)
    monkeypatch.setattr("peer.swarm.guests.LINGER", 10.0)
    size = 2 * CHUNK
    flock = Flock(tmp_path, small)
    first = flock.hatch(outer_steps=3)
    donors = [first, flock.hatch(through=(first,), outer_steps=3)]
    guests = [flock.hatch(through=(first,), outer_steps=3) for _ in range(3)]
    done = []

    async def join(guest) -> None:
        guest.learner.dead = True
        done.append(await newcomer(flock, guest, size).fetch())

    async def use() -> None:
        for seed, donor in enumerate(donors):
            give(donor, content(size, seed))
        with trio.fail_after(600):
            async with trio.open_nursery() as nursery:
                for guest in guests:
                    nursery.start_soon(join, guest)
        assert done == [True] * len(guests)

    await flying(flock, use)


async def test_newcomers_that_sip_hold_up_nobody_who_comes_after_them(tmp_path):
    """As many as there are places take a byte now and then, for ever; another gets a state of this moment."""
    size = 2 * CHUNK
    flock, [donor], guest = _flock(tmp_path, 1, outer_steps=3)
    idle = [flock.hatch(through=(donor,), outer_steps=3) for _ in range(PLACES)]
    sipped = Counter()

    async def sip(bird) -> None:
        contact = Contact(donor.identity.peer_id, donor.transport.addresses)
        while True:
            with suppress(RefusedError, TransportError):
                async with conversation(bird.transport, contact, flock.run_id) as talk:
                    answer = await talk.ask(AskState(), StateIs, Full)
                    if isinstance(answer, StateIs):
                        name = open_index(answer.index, flock.run_id, size).name
                        piece = await talk.ask(Pull(sha256=name, offset=0, length=1), Piece)
                        await talk.receive_raw(piece.length)
                        sipped[name] += 1
            await trio.sleep(5.0)

    async def use() -> None:
        give(donor, content(size, 0))
        async with trio.open_nursery() as nursery:
            for bird in idle:
                nursery.start_soon(sip, bird)
            await trio.sleep(3 * LINGER)
            (old,) = sipped
            state = give(donor, content(size, 1))
            into = assembly(flock, guest, size)
            with trio.fail_after(2 * LINGER):
                assert await newcomer(flock, guest, size, into).fetch()
            assert into.file.read_bytes() == state
            await trio.sleep(2 * LINGER)
            sips = sipped[old]
            await trio.sleep(2 * LINGER)
            assert sipped[old] == sips, "nobody holds the old one any more"
            nursery.cancel_scope.cancel()

    await flying(flock, use)


async def test_a_bad_state_of_several_donors_is_fetched_again_of_one_at_a_time(tmp_path):
    size = 6 * CHUNK
    flock, donors, guest = _flock(tmp_path, 2, outer_steps=3)
    states = {}

    async def use() -> None:
        for seed, donor in enumerate(donors):
            states[donor.identity.peer_id] = give(donor, content(size, seed))
            flock.network.uplinks[donor.identity.peer_id] = Link(rate=4 * CHUNK)
        bad = donors[0].identity.peer_id
        into = assembly(flock, guest, size)
        joining = newcomer(flock, guest, size, into)
        tries = 0
        while await joining.fetch() and bad in givers(into, states):
            tries += 1
            assert len(set(givers(into, states))) == (2 if tries == 1 else 1)
            joining.refused()
        assert tries <= 2
        assert set(givers(into, states)) == {donors[1].identity.peer_id}
        assert not guest.swarm.view.avoided(donors[1].identity.peer_id)

    await flying(flock, use)


async def test_a_donor_that_drips_is_left(tmp_path):
    flock, donors, guest = _flock(tmp_path, 2, outer_steps=3)
    dripper, donor = donors

    async def drip(wire, reply):
        if not isinstance(reply, PieceOf):
            await wire.send_frame(encode(reply))
            return
        await wire.send_frame(encode(reply.piece))
        for _ in range(reply.piece.length):
            await wire.send_raw(b"x")
            await trio.sleep(4.5)

    async def use() -> None:
        size = 1_000
        dripper.swarm.service._send = drip
        give(donor, content(size, 0)), give(dripper, content(size, 1))
        served = _answers(donor, Busy(seconds=1.0))
        into = assembly(flock, guest, size)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(newcomer(flock, guest, size, into).fetch)
            await trio.sleep(NO_CHUNK + 10)
            assert served
            assert guest.swarm.view.avoided(dripper.identity.peer_id)
            donor.swarm.service.serve(AskState, donor.swarm._donor.serve)
        assert into.donors == (donor.identity.peer_id,)

    await flying(flock, use)


def _resigned(donor, **changes):
    """Let a donor sign an index that it should not."""

    async def serve(caller, call):
        answer = await donor.swarm._donor.serve(caller, call)
        index = open_index(answer.index, donor.swarm._run.run_id, 8)
        return StateIs(index=sign_index(changed(index, **changes), donor.identity))

    donor.swarm.service.serve(AskState, serve)


@pytest.mark.parametrize(
    "changes",
    [{"size": 9}, {"inner_step": 1 << 60}, {"hashes": bytes(64)}, {"run_id": b"x" * 32}],
    ids=lambda changes: next(iter(changes)),
)
async def test_a_state_that_cannot_be_is_never_pulled_and_never_makes_a_newcomer_begin_anew(
    tmp_path, changes
):
    flock, (donor,), guest = _flock(tmp_path, 1)

    async def use() -> None:
        _resigned(donor, **changes)
        joining = newcomer(flock, guest)
        with trio.move_on_after(300) as scope:
            await joining.fetch()
        assert scope.cancelled_caught
        assert joining.statistics().lies
        assert not joining.statistics().received

    await flying(flock, use)


async def test_a_full_disk_ends_in_one_clear_line(tmp_path, monkeypatch):
    flock, _, guest = _flock(tmp_path, 1)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    async def use() -> None:
        monkeypatch.setattr(Assembly, "write", full)
        with pytest.raises(HomeError, match=r"Cannot write the run's state of 8 bytes.*No space left"):
            await newcomer(flock, guest).fetch()

    await flying(flock, use)


async def test_a_donor_whose_trainer_is_gone_says_so_and_another_is_asked(tmp_path):
    flock, donors, guest = _flock(tmp_path, 2)
    donors[0].learner.dead = True

    async def use() -> None:
        into = assembly(flock, guest)
        assert await newcomer(flock, guest, into=into).fetch()
        assert into.donors == (donors[1].identity.peer_id,)

    await flying(flock, use)


async def test_a_busy_donor_is_waited_for_however_long_it_takes(tmp_path):
    flock, (donor,), guest = _flock(tmp_path, 1)

    async def use() -> None:
        _answers(donor, Busy(seconds=2.0))
        with trio.move_on_after(10 * HOPELESS) as scope:
            await newcomer(flock, guest).fetch()
        assert scope.cancelled_caught
        donor.swarm.service.serve(AskState, donor.swarm._donor.serve)
        assert await newcomer(flock, guest).fetch()

    await flying(flock, use)


async def test_one_that_can_do_without_gives_up_where_nothing_comes_any_more_and_keeps_what_came(tmp_path):
    """As one does that was left behind: it shares nothing meanwhile."""
    size, patience = 40 * CHUNK, 100.0
    flock, (donor,), guest = _flock(tmp_path, 1)
    flock.network.uplinks[donor.identity.peer_id] = Link(rate=CHUNK / 4)

    async def use() -> None:
        state = give(donor, content(size, 0))
        into = assembly(flock, guest, size)
        joining = newcomer(flock, guest, size, into)
        stopped = []

        async def stop_giving() -> None:
            await trio.sleep(1.1 * patience)
            stopped.append(trio.current_time())
            _answers(donor, Full(seconds=2.0, others=()))
            donor.swarm._donor._give_way()

        with trio.fail_after(3 * patience):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stop_giving)
                assert not await joining.fetch(patience)
        assert patience - 10 < trio.current_time() - stopped[0] < patience + 10
        assert 20 < size // CHUNK - len(into.missing) < 40
        give(donor, state)
        donor.swarm.service.serve(AskState, donor.swarm._donor.serve)
        assert await joining.fetch(patience)
        assert into.file.read_bytes() == state

    await flying(flock, use)


async def test_where_everybody_in_view_is_a_newcomer_the_run_starts_from_the_seed(tmp_path):
    flock, (other,), guest = _flock(tmp_path, 1)
    other.learner.dead = guest.learner.dead = True

    async def use() -> None:
        began = trio.current_time()
        assert not await newcomer(flock, guest).fetch()
        assert HOPELESS <= trio.current_time() - began < HOPELESS + 10

    await flying(flock, use)


async def test_a_newcomer_that_finds_nobody_gives_up_and_starts_from_the_seed(tmp_path):
    flock, _, guest = _flock(tmp_path, 0)

    async def use() -> None:
        assert not await newcomer(flock, guest).fetch()

    await flying(flock, use)
