"""A trainer that dies, and the next."""

import signal
from itertools import repeat

import pytest
import trio

from peer.daemon import trainer_link
from peer.daemon.trainer_link import FIRST_PAUSE, FRUITLESS, LONGEST_PAUSE
from peer.daemon.trainer_process import END_DEADLINE
from peer.errors import Exit, PeerError, TrainerError
from peer.swarm.learner import LearnerGoneError
from protocol import trainer as ipc
from tests.peer.daemon.trainer_link.living import running


@pytest.mark.anyio
async def test_after_a_death_a_new_one_begins_where_it_left_off(daemon, monkeypatch):
    monkeypatch.setattr(trainer_link, "kills", lambda: 3)
    one = daemon("dies_with_a_mix")
    async with running(one):
        await one.hear_a(ipc.Progress)
        (one.folder / "in-7").touch()
        with pytest.raises(LearnerGoneError):
            await one.link.mix(7, "in-7", "int8", 64, 64)
        assert await one.hear_of_a_death() == (-signal.SIGKILL, 1, "")
        assert not one.link.out_of_memory, "this system had memory left"
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
    async with running(one):
        for death in range(1, 2 * FRUITLESS):
            assert await one.hear_of_a_death() == (5, death, "")
            await one.let_pass(FIRST_PAUSE)
    assert one.lives >= 2 * FRUITLESS - 1


@pytest.mark.anyio
@pytest.mark.parametrize("garbage", [b"\x00\x00\x00\x02\xff\xff", b"\xff" * 9])
async def test_garbage_is_a_death_of_the_trainer_and_not_of_the_daemon(daemon, garbage):
    one = daemon("sends")
    (one.folder / "garbage").write_bytes(garbage)
    async with running(one):
        code, restarts, said = await one.hear_of_a_death()
        assert (code, restarts) == (6, 1)
        assert said.startswith("The daemon ended this trainer: ")
        assert "The daemon ended this trainer: " in (one.folder / "trainer.log").read_text()


@pytest.mark.anyio
async def test_one_that_hangs_up_and_stays_is_ended_and_brought_back(daemon):
    one = daemon("hangs_up")
    async with running(one):
        await one.hear_a(ipc.Ready)
        with pytest.raises(LearnerGoneError):
            await one.link.capture()
        await one.let_pass(END_DEADLINE)
        assert await one.hear_of_a_death() == (-signal.SIGKILL, 1, "")
        assert not one.link.out_of_memory


@pytest.mark.anyio
@pytest.mark.parametrize("counts", [iter((3, 4, 4, 4)), repeat(None)], ids=["counted", "not counted"])
async def test_one_whom_the_system_ended_for_its_memory_is_told_apart(daemon, monkeypatch, counts):
    monkeypatch.setattr(trainer_link, "kills", lambda: next(counts))
    one = daemon("dies_with_a_mix")
    async with running(one):
        await one.hear_a(ipc.Progress)
        with pytest.raises(LearnerGoneError):
            await one.link.mix(7, None, "int8", 64, 64)
        assert await one.hear_of_a_death() == (-signal.SIGKILL, 1, "")
        assert one.link.out_of_memory


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
