"""The trainer's lives: real processes that follow a scenario, and a clock that moves only when told to."""

import signal
from contextlib import asynccontextmanager
from itertools import repeat

import pytest
import trio

from peer.daemon import trainer_link
from peer.daemon.trainer_link import FIRST_PAUSE, FRUITLESS, LONGEST_PAUSE, TrainerLink
from peer.daemon.trainer_process import END_DEADLINE
from peer.errors import Exit, HomeError, PeerError, TrainerError
from peer.swarm.learner import LearnerGoneError
from protocol import trainer as ipc
from protocol.manifest import Manifest
from tests.peer.daemon import fake_trainer
from tests.peer.daemon.fake_trainer import FINISHED


@pytest.fixture
def clock():
    return trio.testing.MockClock()


@pytest.fixture
def anyio_backend(clock):
    return "trio", {"clock": clock}


class Daemon:
    """What a link is told and tells. `ended` holds what `run` returned, or how it failed."""

    def __init__(self, folder, scenario, clock):
        self.folder = folder
        self._clock = clock
        self._heard_send, self._heard = trio.open_memory_channel(1000)
        self._deaths_send, self._deaths = trio.open_memory_channel(1000)
        self.begin = self._begin
        self.ended = []
        self.link = TrainerLink(
            begin=lambda: self.begin(),
            on_message=self._heard_send.send_nowait,
            on_death=lambda *death: self._deaths_send.send_nowait(death),
            spool=folder,
            log=folder / "trainer.log",
            command=fake_trainer.command(scenario),
        )

    async def run(self):
        try:
            self.ended.append(await self.link.run())
        except PeerError as error:
            self.ended.append(error)

    async def _begin(self):
        return ipc.Begin(
            manifest=Manifest(founder=bytes(32)),
            peer_id="12D3",
            home=str(self.folder),
            spool=str(self.folder),
            device="cpu",
            shard=0,
            stop_at=None,
            data_paths=(),
            tokenizer_path=None,
            weights_path=None,
            batch=None,
            state=None,
        )

    async def hear_a(self, kind):
        while not isinstance(message := await self._heard.receive(), kind):
            pass
        return message

    async def hear_of_a_death(self):
        """Return the exit code, the restarts, and the last words."""
        return await self._deaths.receive()

    async def let_pass(self, seconds):
        """Jump the clock once nothing else moves."""
        await trio.testing.wait_all_tasks_blocked()
        self._clock.jump(seconds)

    @property
    def lives(self):
        return len(list(self.folder.glob("life-*")))


@pytest.fixture
def daemon(tmp_path, clock):
    return lambda scenario, folder=tmp_path: Daemon(folder, scenario, clock)


@asynccontextmanager
async def _running(daemon):
    """Run the link; at the end it has returned by itself, or it is told to finish."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(daemon.run)
        yield nursery
        await daemon.link.finish()


# ---- one life


@pytest.mark.anyio
async def test_each_answer_finds_who_asked(daemon):
    one = daemon("answers")
    async with _running(one) as nursery:
        await one.hear_a(ipc.Ready)
        mixed = {}

        async def mix(share):
            (one.folder / f"in-{share}").touch()
            mixed[share] = await one.link.mix(share, f"in-{share}", "int8", 64, 64)

        async with trio.open_nursery() as mixes:
            for share in (3, 1, 2):
                mixes.start_soon(mix, share)
        assert {share: answer.late_by for share, answer in mixed.items()} == {1: 1, 2: 2, 3: 3}
        captured = []

        async def capture():
            captured.append(await one.link.capture())

        async with trio.open_nursery() as captures:
            for _ in range(3):
                captures.start_soon(capture)
        assert [each.state.file for each in captured] == ["state"] * 3
        await one.link.no_mix(1)
        await one.hear_a(ipc.Progress)
        nursery.start_soon(one.link.finish)
        await one.hear_a(ipc.Finished)
    assert one.ended == [FINISHED]
    assert one.link.statistics().restarts == 0


@pytest.mark.anyio
async def test_every_question_of_an_exchange_has_its_answer(daemon):
    one = daemon("answers")
    async with _running(one):
        await one.hear_a(ipc.Ready)
        for name in ("bounds", "theirs", "failed", "again", "a", "b", "c", "d"):
            (one.folder / name).touch()
        encoded = await one.link.encode(3, "modulo", 4, "bounds")
        assert encoded.body is not None
        assert (one.folder / encoded.body.file).read_text() == "body-3"
        opened = await one.link.open(3, "theirs", "modulo")
        assert opened.failed is not None
        assert (await one.link.encode_again(3, "failed")).body == encoded.body
        assert (await one.link.open_again(3, "again")).failed is None
        assert (await one.link.mix(3, None, "modulo", 64, 64)).share == 3
        parts = await one.link.split(4, 2, "int8", together=True)
        assert [blob.file for blob in parts.parts] == ["part-0", "part-1"]
        members = [ipc.Member(file="a", weight=1.0), ipc.Member(file="b", weight=2.0)]
        assert (await one.link.reduce(4, 1, members)).part == 1
        assert (await one.link.assemble(4, ["c", "d"], 0.5)).share == 4
        left = {"body-3", "failed-3", "part-0", "part-1", "mean-1", "life-0", "trainer.log"}
        assert {path.name for path in one.folder.iterdir()} == left


@pytest.mark.anyio
async def test_who_asks_and_leaves_takes_nobodys_answer_and_leaves_no_file(daemon):
    one = daemon("answers_late")
    async with _running(one):
        await one.hear_a(ipc.Ready)
        async with trio.open_nursery() as impatient:
            impatient.start_soon(one.link.encode, 3, "modulo", 1, None)
            await trio.testing.wait_all_tasks_blocked()
            impatient.cancel_scope.cancel()
        with trio.CancelScope() as at_once:
            at_once.cancel()
            (one.folder / "bounds").touch()
            await one.link.encode(3, "modulo", 2, "bounds")
        assert not (one.folder / "bounds").exists()
        bodies = []

        async def encode():
            bodies.append((await one.link.encode(3, "modulo", 3, None)).body)

        async with trio.open_nursery() as patient:
            patient.start_soon(encode)
            await trio.testing.wait_all_tasks_blocked()
            await one.link.no_mix(3)
        assert [body.file for body in bodies if body] == ["body-3"]
        await one.hear_a(ipc.Progress)
        assert not (one.folder / "body-1").exists()
        assert (one.folder / "body-3").exists()


@pytest.mark.anyio
async def test_its_statistics_tell_whether_it_lives(daemon):
    one = daemon("answers")
    assert one.link.statistics().pid is None
    async with _running(one):
        await one.hear_a(ipc.Ready)
        living = one.link.statistics()
        assert living.alive
        assert living.pid is not None
    ended = one.link.statistics()
    assert (ended.alive, ended.pid, ended.restarts) == (False, None, 0)


@pytest.mark.anyio
async def test_at_its_last_step_it_ends_the_link(daemon):
    one = daemon("finishes")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
    assert one.ended == [FINISHED]
    assert one.lives == 1


@pytest.mark.anyio
async def test_one_that_hangs_after_its_last_word_is_ended(daemon):
    one = daemon("lingers")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await one.hear_a(ipc.Finished)
        await one.let_pass(END_DEADLINE)
    assert one.ended == [FINISHED]


@pytest.mark.anyio
async def test_nothing_reaches_a_trainer_before_its_orders(daemon):
    one = daemon("answers")
    begin, release = one.begin, trio.Event()

    async def slow_begin():
        await release.wait()
        return await begin()

    one.begin = slow_begin
    async with _running(one):
        await trio.testing.wait_all_tasks_blocked()
        (one.folder / "in-1").touch()
        with pytest.raises(LearnerGoneError):
            await one.link.mix(1, "in-1", "int8", 64, 64)
        assert not (one.folder / "in-1").exists()
        with pytest.raises(LearnerGoneError):
            await one.link.capture()
        with pytest.raises(LearnerGoneError):
            await one.link.no_mix(1)
        (one.folder / "a").touch()
        with pytest.raises(LearnerGoneError):
            await one.link.reduce(1, 0, [ipc.Member(file="a", weight=1.0)])
        assert not (one.folder / "a").exists()
        release.set()
        assert (await one.hear_a(ipc.Ready)).inner_step == 0
        assert (await one.link.capture()).size == 8
    assert one.link.statistics().restarts == 0


@pytest.mark.anyio
async def test_a_state_of_no_use_is_replaced_in_the_same_life(daemon):
    one = daemon("refuses_once")
    begin, asked, release = one.begin, trio.Event(), trio.Event()

    async def second_begin():
        asked.set()
        await release.wait()
        return await begin()

    async def first_begin():
        one.begin = second_begin
        return await begin()

    one.begin = first_begin
    async with _running(one):
        await asked.wait()
        with pytest.raises(LearnerGoneError):
            await one.link.capture()
        release.set()
        await one.hear_a(ipc.Ready)
        assert (await one.link.capture()).size == 8
    assert one.lives == 1
    assert one.link.statistics().restarts == 0


@pytest.mark.anyio
async def test_leaving_does_not_wait_for_a_second_donor(daemon):
    one = daemon("refuses_once")
    begin, asked = one.begin, trio.Event()

    async def second_begin():
        asked.set()
        await trio.sleep_forever()

    async def first_begin():
        one.begin = second_begin
        return await begin()

    one.begin = first_begin
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await asked.wait()
        await one.link.finish()
    assert one.ended == [None]


@pytest.mark.anyio
async def test_a_daemon_that_cannot_say_what_to_train_ends_with_its_own_error(daemon):
    one = daemon("answers")

    async def begin():
        raise HomeError("no space is left", "Make some")

    one.begin = begin
    with pytest.raises(HomeError):
        await one.link.run()
    assert not one.link.statistics().alive
    assert one.lives == 0


# ---- deaths


@pytest.mark.anyio
async def test_after_a_death_a_new_one_begins_where_it_left_off(daemon, monkeypatch):
    monkeypatch.setattr(trainer_link, "kills", lambda: 3)
    one = daemon("dies_with_a_mix")
    async with _running(one):
        await one.hear_a(ipc.Progress)
        (one.folder / "in-7").touch()
        with pytest.raises(LearnerGoneError):
            await one.link.mix(7, "in-7", "int8", 64, 64)
        assert await one.hear_of_a_death() == (-signal.SIGKILL, 1, "")
        assert not one.link.starved, "this system had memory left"
        assert not (one.folder / "in-7").exists()
        assert not one.link.statistics().alive
        with pytest.raises(LearnerGoneError):
            await one.link.capture()
        await one.let_pass(FIRST_PAUSE)
        ready = await one.hear_a(ipc.Ready)
        assert (ready.inner_step, ready.resumed) == (1, True)
        assert one.link.statistics().restarts == 1
    assert one.ended == [None]


@pytest.mark.anyio
async def test_one_that_never_makes_a_step_is_given_up_with_its_last_words_named(daemon):
    one = daemon("dies")
    pauses = [FIRST_PAUSE * 2**death for death in range(FRUITLESS - 1)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        for death, pause in enumerate(pauses, start=1):
            assert await one.hear_of_a_death() == (3, death, "my last words")
            await one.let_pass(pause)
    (error,) = one.ended
    assert isinstance(error, TrainerError)
    assert error.code == Exit.TRAINER_FAILED
    assert f"died {FRUITLESS} times before its first step (last exit code 3): my last words" in str(error)
    assert str(one.folder / "trainer.log") in str(error)
    assert (one.folder / "trainer.log").read_text() == "my last words\n" * FRUITLESS
    assert one.lives == FRUITLESS


@pytest.mark.anyio
async def test_one_whose_imports_fail_is_given_up_as_well(daemon):
    one = daemon("dies_unheard")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        for _ in range(FRUITLESS - 1):
            assert (await one.hear_of_a_death())[0] == 4
            await one.let_pass(LONGEST_PAUSE)
    assert isinstance(one.ended[0], TrainerError)


@pytest.mark.anyio
async def test_one_that_makes_steps_is_brought_back_as_often_as_it_dies(daemon):
    one = daemon("dies_for_ever")
    async with _running(one):
        for death in range(1, 2 * FRUITLESS):
            assert await one.hear_of_a_death() == (5, death, "")
            await one.let_pass(FIRST_PAUSE)
    assert one.lives >= 2 * FRUITLESS - 1


@pytest.mark.anyio
@pytest.mark.parametrize("garbage", [b"\x00\x00\x00\x02\xff\xff", b"\xff" * 9])
async def test_garbage_is_a_death_of_the_trainer_and_not_of_the_daemon(daemon, garbage):
    one = daemon("sends")
    (one.folder / "garbage").write_bytes(garbage)
    async with _running(one):
        code, restarts, said = await one.hear_of_a_death()
        assert (code, restarts) == (6, 1)
        assert said.startswith("The daemon ended this trainer: ")
        assert "The daemon ended this trainer: " in (one.folder / "trainer.log").read_text()


@pytest.mark.anyio
async def test_one_that_hangs_up_and_stays_is_ended_and_brought_back(daemon):
    one = daemon("hangs_up")
    async with _running(one):
        await one.hear_a(ipc.Ready)
        with pytest.raises(LearnerGoneError):
            await one.link.capture()
        await one.let_pass(END_DEADLINE)
        assert await one.hear_of_a_death() == (-signal.SIGKILL, 1, "")
        assert not one.link.starved


@pytest.mark.anyio
@pytest.mark.parametrize("counts", [iter((3, 4, 4, 4)), repeat(None)], ids=["counted", "not counted"])
async def test_one_whom_the_system_ended_for_its_memory_is_told_apart(daemon, monkeypatch, counts):
    monkeypatch.setattr(trainer_link, "kills", lambda: next(counts))
    one = daemon("dies_with_a_mix")
    async with _running(one):
        await one.hear_a(ipc.Progress)
        with pytest.raises(LearnerGoneError):
            await one.link.mix(7, None, "int8", 64, 64)
        assert await one.hear_of_a_death() == (-signal.SIGKILL, 1, "")
        assert one.link.starved


# ---- failures that restarting does not mend


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("said", "code"),
    [
        (40, Exit.DATA_INVALID),
        (41, Exit.DEVICE_UNAVAILABLE),
        (99, Exit.TRAINER_FAILED),
        (0, Exit.TRAINER_FAILED),
    ],
)
async def test_what_the_trainer_says_is_in_the_way_reaches_the_person(daemon, tmp_path, said, code):
    (tmp_path / str(said)).mkdir()
    one = daemon("fails", tmp_path / str(said))
    with pytest.raises(PeerError, match=r"^the data is not there\. Put it there$") as caught:
        await one.link.run()
    assert caught.value.code is code
    assert one.lives == 1


# ---- one after another


@pytest.mark.anyio
async def test_a_trainer_that_is_renewed_ends_in_order_and_the_next_begins_at_once(daemon):
    one = daemon("has_steps_left")
    async with _running(one):
        assert not await one.link.renew(), "there is none that has begun"
        await one.hear_a(ipc.Ready)
        assert await one.link.renew()
        await one.hear_a(ipc.Finished)
        assert (await one.hear_a(ipc.Ready)).inner_step == 1
    assert (one.lives, one.link.statistics().restarts) == (2, 0)
    assert [ended.reached_stop for ended in one.ended] == [False]


@pytest.mark.anyio
async def test_a_checkpoint_is_asked_for_and_what_became_of_it_told(daemon):
    one = daemon("saves")
    assert await one.link.save(1.0), "there is none that has begun"
    async with _running(one):
        await one.hear_a(ipc.Ready)
        assert await one.link.save(60.0) == ""
        assert await one.link.save(60.0) == "the disk is full"


@pytest.mark.anyio
async def test_a_trainer_that_does_not_end_in_order_has_died_and_was_not_renewed(daemon):
    one = daemon("saves")
    async with _running(one):
        await one.hear_a(ipc.Ready)
        await one.link.renew()
        await one.hear_of_a_death()
    assert one.link.statistics().restarts == 1


@pytest.mark.anyio
async def test_who_has_made_all_its_steps_is_not_renewed(daemon):
    one = daemon("answers")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await one.hear_a(ipc.Ready)
        assert await one.link.renew()
    assert (one.ended, one.lives) == ([FINISHED], 1)


# ---- leaving


@pytest.mark.anyio
async def test_one_that_does_not_finish_in_time_is_ended(daemon):
    one = daemon("ignores")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await one.hear_a(ipc.Ready)
        nursery.start_soon(one.link.finish)
        await one.let_pass(END_DEADLINE - 0.1)
        await trio.testing.wait_all_tasks_blocked()
        assert not one.ended
        await one.let_pass(0.2)
    assert one.ended == [None]


@pytest.mark.anyio
async def test_leaving_does_not_wait_for_data_to_begin_with(daemon):
    one = daemon("waits_for_data")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await one.hear_a(ipc.Waiting)
        await one.link.finish(600.0)
    assert one.ended == [None]


@pytest.mark.anyio
async def test_leaving_does_not_wait_for_a_donor(daemon):
    one = daemon("answers")
    one.begin = trio.sleep_forever
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await trio.testing.wait_all_tasks_blocked()
        await one.link.finish()
    assert one.ended == [None]
    assert one.lives == 0


@pytest.mark.anyio
async def test_leaving_does_not_wait_for_the_next_start(daemon):
    one = daemon("dies")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await one.hear_of_a_death()
        await one.link.finish()
    assert one.ended == [None]
    assert one.lives == 1


@pytest.mark.anyio
async def test_who_leaves_before_the_first_start_starts_nothing(daemon):
    one = daemon("answers")
    await one.link.finish()
    await one.run()
    assert one.ended == [None]
    assert not (one.folder / "trainer.log").exists()


@pytest.mark.anyio
async def test_who_leaves_while_the_process_is_being_made_ends_it(daemon):
    one = daemon("answers")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        # The thread that makes the process has begun once there is a log, and ends when the loop turns.
        while not (one.folder / "trainer.log").exists():
            await trio.lowlevel.checkpoint()
        await one.link.finish()
    assert one.ended == [None]
    assert one.lives == 0


@pytest.mark.anyio
async def test_a_daemon_that_is_ended_leaves_no_trainer(daemon):
    one = daemon("ignores")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await one.hear_a(ipc.Ready)
        nursery.cancel_scope.cancel()
    assert not one.link.statistics().alive
