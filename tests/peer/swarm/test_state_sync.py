"""Donors and newcomers: a crowd, a donor without a trainer, a liar."""

import errno

import pytest
import trio

from peer.errors import HomeError
from peer.simulate.flock import Flock
from peer.swarm.learner import LearnerGoneError
from peer.swarm.objects import Incoming, ObjectStore
from peer.swarm.service import PieceOf
from peer.swarm.state_sync import FRESH, GUESTS, HOPELESS, LINGER, MOST_STATES, Donor, Newcomer, pull_limit
from protocol.codec import digest, encode
from protocol.limits import MAX_PROGRESS
from protocol.manifest import Manifest
from protocol.messages import AskState, Busy, ObjectRef, Refused, StateIs
from protocol.trainer import Captured, State

pytestmark = pytest.mark.anyio


def _manifest(founder):
    return Manifest(founder=founder, codecs=("fp32",))


async def _flying(flock, use):
    async with trio.open_nursery() as nursery:
        for bird in flock.birds:
            nursery.start_soon(bird.fly)
        await trio.sleep(3.5)
        await use()
        nursery.cancel_scope.cancel()


def _newcomer(flock, bird, size=8):
    swarm = bird.swarm
    return Newcomer(bird.transport, flock.run_id, swarm.view, swarm.store, swarm.puller, expected_size=size)


def _donor(learner, tmp_path, nursery):
    return Donor(ObjectStore(tmp_path), learner, nursery, lambda *_: None)


class _Learner:
    """Captures `content()`, a new value each time unless told."""

    def __init__(self, spool):
        self.spool = spool
        self.dead = False
        self.captures = 0
        self.content = lambda: self.captures.to_bytes(8, "little")

    async def capture(self):
        if self.dead:
            raise LearnerGoneError
        self.captures += 1
        data, name = self.content(), f"state-{self.captures}"
        (self.spool / name).write_bytes(data)
        state = State(file=name, inner_step=5, outer_step=1, tokens=1)
        return Captured(state=state, size=len(data), sha256=digest(data))


async def test_a_crowd_is_served_from_one_capture_and_bounded(tmp_path):
    learner = _Learner(tmp_path)
    async with trio.open_nursery() as nursery:
        donor = _donor(learner, tmp_path, nursery)
        answers = [await donor.serve(f"guest {number}", AskState()) for number in range(GUESTS + 2)]
        states = [answer for answer in answers if isinstance(answer, StateIs)]
        assert len(states) == GUESTS
        assert isinstance(answers[-1], Busy)
        assert learner.captures == 1
        assert donor.statistics().turned_away == 2
        assert donor.statistics().served == GUESTS
        await trio.sleep(2 * LINGER + 1)
        assert not _files(tmp_path), "captures that served their time are gone"
        assert isinstance(await donor.serve("guest 9", AskState()), StateIs)
        nursery.cancel_scope.cancel()


def _files(folder):
    return sorted(path.name for path in folder.glob("state-*"))


async def test_a_guest_that_asks_again_takes_no_second_place_and_a_failed_capture_none(tmp_path):
    learner = _Learner(tmp_path)
    async with trio.open_nursery() as nursery:
        donor = _donor(learner, tmp_path, nursery)
        learner.dead = True
        for number in range(2 * GUESTS):
            assert isinstance(await donor.serve(f"early {number}", AskState()), Refused)
        learner.dead = False
        promised = [await donor.serve("guest 0", AskState())]
        await trio.sleep(FRESH + 1)
        promised += [await donor.serve("guest 0", AskState()) for _ in range(2 * GUESTS)]
        assert set(promised) == {promised[0]}, "and it can go on with the state that it began to pull"
        for number in range(1, GUESTS):
            assert isinstance(await donor.serve(f"guest {number}", AskState()), StateIs)
        nursery.cancel_scope.cancel()


async def test_a_state_stays_while_it_is_pulled_but_not_for_ever(tmp_path):
    learner = _Learner(tmp_path)
    async with trio.open_nursery() as nursery:
        donor = _donor(learner, tmp_path, nursery)
        state = (await donor.serve("slow", AskState())).state
        for _ in range(10):
            await trio.sleep(10)
            assert donor._store.read(state.sha256, 0, 1)
        for _ in range(100):
            await trio.sleep(10)
            donor._store.read(state.sha256, 0, 1)
        assert not _files(tmp_path)
        nursery.cancel_scope.cancel()


async def test_equal_states_share_a_file_that_stays_for_the_second_guest(tmp_path):
    learner = _Learner(tmp_path)
    learner.content = lambda: b"the same"
    async with trio.open_nursery() as nursery:
        donor = _donor(learner, tmp_path, nursery)
        await donor.serve("first", AskState())
        await trio.sleep(LINGER - 1)
        state = (await donor.serve("second", AskState())).state
        assert learner.captures == 2
        await trio.sleep(LINGER - 1)
        assert donor._store.read(state.sha256, 0, 8) == b"the same"
        await trio.sleep(3 * LINGER)
        assert not _files(tmp_path)
        nursery.cancel_scope.cancel()


async def test_few_states_are_held_at_once(tmp_path):
    learner = _Learner(tmp_path)
    async with trio.open_nursery() as nursery:
        donor = _donor(learner, tmp_path, nursery)
        answers = []
        for number in range(GUESTS):
            answers.append(await donor.serve(f"guest {number}", AskState()))
            await trio.sleep(FRESH + 1)
        assert [type(answer) for answer in answers] == [StateIs] * MOST_STATES + [Busy] * (
            GUESTS - MOST_STATES
        )
        assert len(_files(tmp_path)) == MOST_STATES
        nursery.cancel_scope.cancel()


async def test_a_donor_whose_trainer_is_gone_says_busy_and_another_is_asked(tmp_path):
    flock = Flock(tmp_path, _manifest)
    dead = flock.hatch()
    donor = flock.hatch(through=(dead,))
    guest = flock.hatch(through=(dead,))
    dead.learner.dead = True

    async def use():
        fetched = await _newcomer(flock, guest).fetch()
        assert fetched[0] == donor.identity.peer_id

    await _flying(flock, use)


async def test_a_state_that_cannot_be_is_never_pulled_and_never_makes_a_newcomer_begin_anew(tmp_path):
    flock = Flock(tmp_path, _manifest)
    donor = flock.hatch()
    guest = flock.hatch(through=(donor,))

    async def use():
        with trio.move_on_after(3600) as scope:
            await _newcomer(flock, guest, size=9).fetch()
        assert scope.cancelled_caught
        assert not list(guest.learner.spool.glob("in-*"))

    await _flying(flock, use)


def _lies(liar, answer):
    """Let a bird answer `AskState` with `answer`; return how often it was asked."""
    asked = []

    async def lie(caller, call):
        asked.append(caller)
        return answer

    liar.swarm.service.serve(AskState, lie)
    return asked


async def test_absurd_progress_is_refused_and_the_next_donor_asked(tmp_path):
    flock = Flock(tmp_path, _manifest)
    liar = flock.hatch()
    donor, guest = flock.hatch(through=(liar,)), flock.hatch(through=(liar,))

    async def use():
        ref = ObjectRef(sha256=bytes(32), size=8)
        asked = _lies(liar, StateIs(state=ref, inner_step=MAX_PROGRESS + 1, outer_step=1, tokens=1))
        donor.learner.dead = True
        with trio.move_on_after(20):
            await _newcomer(flock, guest).fetch()
        assert asked
        donor.learner.dead = False
        assert (await _newcomer(flock, guest).fetch())[0] == donor.identity.peer_id

    await _flying(flock, use)


async def test_a_donor_that_drips_is_left_for_another(tmp_path, monkeypatch):
    flock = Flock(tmp_path, _manifest)
    dripper = flock.hatch()
    donor, guest = flock.hatch(through=(dripper,)), flock.hatch(through=(dripper,), outer_steps=0)

    async def drip(wire, reply):
        if isinstance(reply, PieceOf):
            await wire.send_frame(encode(reply.piece))
            for _ in range(reply.piece.length):
                await wire.send_raw(b"x")
                await trio.sleep(4.5)
        else:
            await wire.send_frame(encode(reply))

    async def use():
        size = 1_000
        dripper.swarm.service._send = drip
        donor.swarm._donor._learner = _Learner(donor.learner.spool)
        dripper.swarm._donor._learner = _Learner(dripper.learner.spool)
        for one in (donor, dripper):
            one.swarm._donor._learner.content = lambda: bytes(size)
        monkeypatch.setattr(guest.swarm.view, "draw", _first_then(guest.swarm.view, dripper))
        began = trio.current_time()
        fetched = await _newcomer(flock, guest, size=size).fetch()
        assert fetched[0] == donor.identity.peer_id
        assert pull_limit(size) < trio.current_time() - began < 2 * pull_limit(size)

    await _flying(flock, use)


def _first_then(view, first):
    draw, drawn = view.draw, []

    def draw_first():
        if drawn:
            return draw()
        drawn.append(first)
        return view.contact(first.identity.peer_id)

    return draw_first


async def test_a_full_disk_ends_in_one_clear_line(tmp_path, monkeypatch):
    flock = Flock(tmp_path, _manifest)
    donor = flock.hatch()
    guest = flock.hatch(through=(donor,))

    def full(incoming, *_):
        raise OSError(errno.ENOSPC, "No space left on device")

    async def use():
        monkeypatch.setattr(Incoming, "write", full)
        with pytest.raises(HomeError, match=r"Cannot write a donor's state of 8 bytes.*No space left"):
            await _newcomer(flock, guest).fetch()

    await _flying(flock, use)


async def test_a_busy_donor_is_waited_for_however_long_it_takes(tmp_path):
    flock = Flock(tmp_path, _manifest)
    donor = flock.hatch()
    guest = flock.hatch(through=(donor,))

    async def use():
        serve = donor.swarm._donor.serve
        _lies(donor, Busy(seconds=2.0))
        with trio.move_on_after(10 * HOPELESS) as scope:
            await _newcomer(flock, guest).fetch()
        assert scope.cancelled_caught
        donor.swarm.service.serve(AskState, serve)
        assert (await _newcomer(flock, guest).fetch())[0] == donor.identity.peer_id

    await _flying(flock, use)


async def test_where_everybody_in_view_is_a_newcomer_the_run_starts_from_the_seed(tmp_path):
    flock = Flock(tmp_path, _manifest)
    one = flock.hatch()
    other = flock.hatch(through=(one,))
    one.learner.dead = other.learner.dead = True

    async def use():
        began = trio.current_time()
        assert await _newcomer(flock, other).fetch() is None
        assert HOPELESS <= trio.current_time() - began < HOPELESS + 10

    await _flying(flock, use)


async def test_a_newcomer_that_finds_nobody_gives_up_and_starts_from_the_seed(tmp_path):
    flock = Flock(tmp_path, _manifest)
    guest = flock.hatch()

    async def use():
        assert await _newcomer(flock, guest).fetch() is None

    await _flying(flock, use)
