"""The end of a trainer, whatever it is at."""

import pytest
import trio

from peer.daemon.trainer_process import END_DEADLINE
from protocol import trainer as ipc


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
