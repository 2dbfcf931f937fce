"""A trainer's life: what is asked of it and told by it, and one life after another."""

import pytest
import trio

from peer.daemon.trainer_process import END_DEADLINE
from peer.errors import HomeError
from peer.swarm.learner import LearnerGoneError
from protocol import trainer as ipc
from tests.peer.daemon.fake_trainer import FINISHED
from tests.peer.daemon.trainer_link.living import running


@pytest.mark.anyio
async def test_each_answer_finds_who_asked(daemon):
    one = daemon("answers")
    async with running(one) as nursery:
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
    async with running(one):
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
    async with running(one):
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
    async with running(one):
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
    async with running(one):
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
    async with running(one):
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


# ---- one after another


@pytest.mark.anyio
async def test_a_trainer_that_is_renewed_ends_in_order_and_the_next_begins_at_once(daemon):
    one = daemon("has_steps_left")
    async with running(one):
        assert not await one.link.renew(END_DEADLINE), "there is none that has begun"
        await one.hear_a(ipc.Ready)
        assert await one.link.renew(END_DEADLINE)
        await one.hear_a(ipc.Finished)
        assert (await one.hear_a(ipc.Ready)).inner_step == 1
    assert (one.lives, one.link.statistics().restarts) == (2, 0)
    assert [ended.reached_stop for ended in one.ended] == [False]


@pytest.mark.anyio
async def test_a_checkpoint_is_asked_for_and_what_became_of_it_told(daemon):
    one = daemon("saves")
    assert await one.link.save(1.0), "there is none that has begun"
    async with running(one):
        await one.hear_a(ipc.Ready)
        assert await one.link.save(60.0) == ""
        assert await one.link.save(60.0) == "the disk is full"


@pytest.mark.anyio
async def test_a_trainer_that_does_not_end_in_order_has_died_and_was_not_renewed(daemon):
    one = daemon("saves")
    async with running(one):
        await one.hear_a(ipc.Ready)
        await one.link.renew(END_DEADLINE)
        await one.hear_of_a_death()
    assert one.link.statistics().restarts == 1


@pytest.mark.anyio
async def test_who_has_made_all_its_steps_is_not_renewed(daemon):
    one = daemon("answers")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await one.hear_a(ipc.Ready)
        assert await one.link.renew(END_DEADLINE)
    assert (one.ended, one.lives) == ([FINISHED], 1)
