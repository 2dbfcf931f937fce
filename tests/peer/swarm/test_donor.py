"""Donors: a crowd of newcomers, one that asks again, one that is slow, one that reads for ever."""

import random

import pytest
import trio

from peer.swarm.donor import FRESH, MOST_STATES, Donor
from peer.swarm.guests import DRIP, GRACE, LINGER, MOST_READ, PLACES, SLOWEST
from peer.swarm.learner import LearnerGoneError
from peer.swarm.objects import ObjectStore
from peer.swarm.view import View
from protocol.identity import Identity
from protocol.messages import AskState, Full, Refused, StateIs
from protocol.records import PeerRecord, sign_record
from protocol.state_index import open_index
from protocol.trainer import Captured, State
from tests.states import hash_chunks

pytestmark = pytest.mark.anyio

OURS, RUN = Identity(bytes(32)), bytes(32)


def _donor(learner, tmp_path, nursery, view=None):
    view = view or View(OURS.peer_id, RUN, rng=random.Random(0))
    return Donor(ObjectStore(tmp_path), learner, OURS, RUN, view, nursery, lambda *_: None)


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
        return Captured(state=state, size=len(data), hashes=hash_chunks(data))


def _index(answer, size=8):
    return open_index(answer.index, RUN, size)


async def test_a_crowd_is_served_from_one_capture_and_bounded(tmp_path):
    learner = _Learner(tmp_path)
    async with trio.open_nursery() as nursery:
        donor = _donor(learner, tmp_path, nursery)
        answers = [await donor.serve(f"guest {number}", AskState()) for number in range(PLACES + 2)]
        states = [answer for answer in answers if isinstance(answer, StateIs)]
        assert len(states) == PLACES
        assert isinstance(answers[-1], Full)
        assert learner.captures == 1
        assert donor.statistics().turned_away == 2
        assert donor.statistics().served == PLACES
        await trio.sleep(2 * LINGER + 1)
        assert not _files(tmp_path), "captures that served their time are gone"
        assert isinstance(await donor.serve("guest 9", AskState()), StateIs)
        nursery.cancel_scope.cancel()


async def test_who_spares_its_line_gives_to_nobody_new(tmp_path):
    async with trio.open_nursery() as nursery:
        donor = _donor(_Learner(tmp_path), tmp_path, nursery)
        assert isinstance(await donor.serve("guest", AskState()), StateIs)
        donor.sparing = True
        assert isinstance(await donor.serve("guest", AskState()), StateIs), "it was promised"
        assert isinstance(await donor.serve("another", AskState()), Full)
        donor.sparing = False
        assert isinstance(await donor.serve("another", AskState()), StateIs)
        nursery.cancel_scope.cancel()


async def test_who_has_been_away_gives_nothing_where_others_have_newer(tmp_path):
    learner = _Learner(tmp_path)
    async with trio.open_nursery() as nursery:
        donor = _donor(learner, tmp_path, nursery)
        donor.outdated = lambda: True
        assert isinstance(await donor.serve("guest", AskState()), Refused)
        assert learner.captures == 0
        donor.outdated = lambda: False
        assert isinstance(await donor.serve("guest", AskState()), StateIs)
        nursery.cancel_scope.cancel()


def _files(folder):
    return sorted(path.name for path in folder.glob("state-*"))


async def test_the_index_is_signed_and_names_what_can_be_pulled(tmp_path):
    async with trio.open_nursery() as nursery:
        donor = _donor(_Learner(tmp_path), tmp_path, nursery)
        index = _index(await donor.serve("guest", AskState()))
        assert (index.peer_id, index.inner_step, index.outer_step, index.tokens) == (OURS.peer_id, 5, 1, 1)
        assert donor._store.read(index.name, 0, 8, "a stranger") is None
        data = donor._store.read(index.name, 0, 8, "guest")
        assert data == (1).to_bytes(8, "little")
        assert hash_chunks(data) == index.hashes
        nursery.cancel_scope.cancel()


async def test_who_finds_every_place_taken_is_told_of_others(tmp_path):
    view, other = View(OURS.peer_id, RUN, rng=random.Random(0)), Identity(bytes([7] * 32))
    record = PeerRecord(run_id=RUN, peer_id=other.peer_id, sequence=1, addresses=("/a",), shard=0)
    view.learn(sign_record(record, other))
    view.answered(other.peer_id)
    async with trio.open_nursery() as nursery:
        donor = _donor(_Learner(tmp_path), tmp_path, nursery, view)
        for number in range(PLACES):
            await donor.serve(f"guest {number}", AskState())
        answer = await donor.serve("one too many", AskState())
        fresh = View("12D3", RUN, rng=random.Random(0))
        assert fresh.learn_all(answer.others) == [other.peer_id]
        nursery.cancel_scope.cancel()


async def test_a_guest_that_asks_again_takes_no_second_place_and_a_failed_capture_none(tmp_path):
    learner = _Learner(tmp_path)
    async with trio.open_nursery() as nursery:
        donor = _donor(learner, tmp_path, nursery)
        learner.dead = True
        for number in range(2 * PLACES):
            assert isinstance(await donor.serve(f"early {number}", AskState()), Refused)
        learner.dead = False
        promised = [await donor.serve("guest 0", AskState())]
        await trio.sleep(FRESH + 1)
        promised += [await donor.serve("guest 0", AskState()) for _ in range(2 * PLACES)]
        assert set(promised) == {promised[0]}, "and it can go on with the state that it began to pull"
        for number in range(1, PLACES):
            assert isinstance(await donor.serve(f"guest {number}", AskState()), StateIs)
        nursery.cancel_scope.cancel()


SIZE = int(3 * GRACE * SLOWEST)
"""Bytes of a state that takes three times as long as the grace, at the slowest pace."""
SIP = 10.0


def _large(captures):
    return captures.to_bytes(8, "little") * (SIZE // 8)


async def test_a_state_stays_while_it_is_pulled_but_not_for_one_that_sips(tmp_path):
    """One hold ends, and the other on the same state goes on."""
    learner = _Learner(tmp_path)
    learner.content = lambda: _large(learner.captures)
    async with trio.open_nursery() as nursery:
        donor = _donor(learner, tmp_path, nursery)
        steady, sips = [_index(await donor.serve(name, AskState()), SIZE) for name in ("steady", "sips")]
        assert steady.name == sips.name
        step = int(SLOWEST * SIP)
        sipped = []
        for offset in range(0, SIZE, step):
            assert donor._store.read(steady.name, offset, step, "steady")
            sipped.append(donor._store.read(steady.name, 0, 1, "sips") is not None)
            await trio.sleep(SIP)
        assert sipped == [number * SIP <= GRACE for number in range(len(sipped))]
        await trio.sleep(LINGER)
        assert donor._store.read(steady.name, 0, 1, "steady") is None
        assert not _files(tmp_path)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("reads", [True, False], ids=["that sips", "that only asks"])
async def test_one_that_goes_on_for_ever_gets_a_state_half_of_the_time_and_pins_none(tmp_path, reads):
    learner = _Learner(tmp_path)
    learner.content = lambda: _large(learner.captures)
    async with trio.open_nursery() as nursery:
        donor = _donor(learner, tmp_path, nursery)
        names, served = [], []
        for turn in range(120):
            answer = await donor.serve("sips", AskState())
            served.append(isinstance(answer, StateIs))
            if served[-1]:
                names.append(_index(answer, SIZE).name)
                assert not reads or donor._store.read(names[-1], 0, 1, "sips")
            if turn % 12 == 11:  # every two minutes
                before = learner.captures
                assert isinstance(await donor.serve(f"guest {turn}", AskState()), StateIs)
                assert learner.captures == before + 1, "it gets a state of this moment"
            await trio.sleep(SIP)
        assert sum(served) <= 0.55 * len(served)
        assert max(names.count(name) for name in names) * SIP <= GRACE + SIP
        nursery.cancel_scope.cancel()


async def test_guests_that_are_slow_for_long_make_nobody_take_an_old_state(tmp_path, monkeypatch):
    """Both states are held all the time. Each guest has its own for a while, and then a newer one."""
    old, pace = GRACE, 2 * DRIP
    monkeypatch.setattr("peer.swarm.donor.OLD", old)
    learner = _Learner(tmp_path)
    learner.content = lambda: _large(learner.captures)
    captured = {}
    async with trio.open_nursery() as nursery:
        donor = _donor(learner, tmp_path, nursery)

        async def state_for(guest):
            index = _index(await donor.serve(guest, AskState()), SIZE)
            captured.setdefault(index.hashes, trio.current_time())
            assert trio.current_time() - captured[index.hashes] <= old
            assert len(_files(tmp_path)) <= MOST_STATES
            return index.name, trio.current_time()

        reading = {}
        for guest in ("one", "other"):
            reading[guest] = await state_for(guest)
            await trio.sleep(SIP)
        had = []
        for turn in range(90):
            for guest, (name, since) in reading.items():
                if donor._store.read(name, 0, int(pace * SIP), guest) is None:
                    had.append(trio.current_time() - since)
                    reading[guest] = await state_for(guest)
            if turn % 9 == 8:
                await state_for(f"guest {turn}")
            await trio.sleep(SIP)
        assert min(had) >= old
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("away", [1.0, LINGER + 1, 2 * LINGER])
async def test_who_had_a_state_and_comes_back_later_is_welcome(tmp_path, away):
    """Whether it read all of it, or a part quickly while other donors gave the rest."""
    learner = _Learner(tmp_path)
    learner.content = lambda: _large(learner.captures)
    async with trio.open_nursery() as nursery:
        donor = _donor(learner, tmp_path, nursery)
        for guest, read in (("has all", SIZE), ("has a part", SIZE // 10)):
            name = _index(await donor.serve(guest, AskState()), SIZE).name
            for offset in range(0, read, SIZE // 20):
                assert donor._store.read(name, offset, SIZE // 20, guest)
                await trio.sleep(0.1)
        await trio.sleep(away)
        for guest in ("has all", "has a part"):
            assert isinstance(await donor.serve(guest, AskState()), StateIs)
        nursery.cancel_scope.cancel()


async def test_one_that_reads_the_same_again_and_again_is_refused(tmp_path):
    async with trio.open_nursery() as nursery:
        donor = _donor(_Learner(tmp_path), tmp_path, nursery)
        name = _index(await donor.serve("greedy", AskState())).name
        read = [donor._store.read(name, 0, 8, "greedy") is not None for _ in range(2 * MOST_READ)]
        assert read == [True] * MOST_READ + [False] * MOST_READ
        nursery.cancel_scope.cancel()


async def test_equal_states_share_a_file_that_stays_for_the_second_guest(tmp_path):
    learner = _Learner(tmp_path)
    learner.content = lambda: b"the same"
    async with trio.open_nursery() as nursery:
        donor = _donor(learner, tmp_path, nursery)
        await donor.serve("first", AskState())
        await trio.sleep(LINGER - 1)
        name = _index(await donor.serve("second", AskState())).name
        assert learner.captures == 2
        await trio.sleep(LINGER - 1)
        assert donor._store.read(name, 0, 8, "second") == b"the same"
        await trio.sleep(3 * LINGER)
        assert not _files(tmp_path)
        nursery.cancel_scope.cancel()


async def test_few_states_are_held_at_once(tmp_path):
    learner = _Learner(tmp_path)
    async with trio.open_nursery() as nursery:
        donor = _donor(learner, tmp_path, nursery)
        answers = []
        for number in range(PLACES):
            answers.append(await donor.serve(f"guest {number}", AskState()))
            await trio.sleep(FRESH + 1)
        names = [_index(answer).name for answer in answers]
        assert len(set(names)) == MOST_STATES
        assert set(names[MOST_STATES:]) == {names[MOST_STATES - 1]}, "who comes later gets the newest"
        assert len(_files(tmp_path)) == MOST_STATES
        nursery.cancel_scope.cancel()
