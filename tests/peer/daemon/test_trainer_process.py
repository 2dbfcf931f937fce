"""One real process under a clock that stands still: what is waited for comes from the process alone."""

import os
import signal

import pytest
import trio

from peer.daemon.trainer_process import END_DEADLINE, TrainerProcess
from peer.swarm.learner import LearnerGoneError
from protocol import trainer as ipc
from protocol.errors import ProtocolError
from protocol.manifest import Manifest
from tests.peer.daemon import fake_trainer


@pytest.fixture
def clock():
    return trio.testing.MockClock()


@pytest.fixture
def anyio_backend(clock):
    return "trio", {"clock": clock}


@pytest.fixture
async def start(tmp_path):
    """Start a fake trainer and give it its orders; at the end none is left."""
    started = []

    async def start(scenario, **orders):
        trainer = await TrainerProcess.start(fake_trainer.command(scenario), tmp_path / "trainer.log")
        started.append(trainer)
        await trainer.send(_begin(tmp_path, **orders))
        return trainer

    yield start
    for trainer in started:
        trainer.kill()
        await trainer.wait()


def _begin(folder, spool=""):
    return ipc.Begin(
        manifest=Manifest(founder=bytes(32)),
        peer_id="12D3",
        home=str(folder),
        spool=spool or str(folder),
        device="cpu",
        shard=0,
        stop_at=None,
        data_paths=(),
        tokenizer_path=None,
        weights_path=None,
        batch=None,
        state=None,
    )


async def _hear_out(trainer):
    heard = []
    while (message := await trainer.receive()) is not None:
        heard.append(message)
    return heard


@pytest.mark.anyio
async def test_it_is_told_what_to_do_and_tells_what_it_did(start):
    trainer = await start("finishes")
    assert trainer.pid is not None
    ready, finished = await _hear_out(trainer)
    assert isinstance(ready, ipc.Ready)
    assert finished == fake_trainer.FINISHED
    assert await trainer.end() == 0
    assert trainer.pid is None


@pytest.mark.anyio
async def test_messages_larger_than_any_buffer_pass_both_ways(start):
    long = "x" * (ipc.MAX_IPC - 2000)
    trainer = await start("echoes", spool=long)
    for life in range(100):
        ready = await trainer.receive()
        assert isinstance(ready, ipc.Ready)
        assert (ready.inner_step, ready.device) == (life, long)
    trainer.kill()
    await trainer.wait()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        (b"\x00\x00\x00\x02\xff\xff", "schema"),
        (b"\xff" * 100_000, f"at most {ipc.MAX_IPC}"),
        (b"\x00\x00\x00\x00", "schema"),
    ],
)
async def test_garbage_is_an_error_that_says_what_is_wrong(start, tmp_path, garbage, reason):
    (tmp_path / "garbage").write_bytes(garbage)
    trainer = await start("sends")
    with pytest.raises(ProtocolError, match=reason):
        await _hear_out(trainer)
    assert await trainer.end() == 6


@pytest.mark.anyio
async def test_hanging_up_ends_it_in_order(start):
    trainer = await start("answers")
    assert isinstance(await trainer.receive(), ipc.Ready)
    assert await trainer.end() == 0


@pytest.mark.anyio
async def test_one_that_does_not_end_in_time_is_killed(start, clock):
    trainer = await start("ignores")
    assert isinstance(await trainer.receive(), ipc.Ready)
    codes = []

    async def end():
        codes.append(await trainer.end())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(end)
        await trio.testing.wait_all_tasks_blocked()
        clock.jump(END_DEADLINE - 0.1)
        await trio.testing.wait_all_tasks_blocked()
        assert not codes
        clock.jump(0.2)
    assert codes == [-signal.SIGKILL]


@pytest.mark.anyio
async def test_one_that_is_gone_says_nothing_and_hears_nothing(start, tmp_path):
    trainer = await start("dies")
    assert await trainer.wait() == 3
    assert len(await _hear_out(trainer)) == 1
    with pytest.raises(LearnerGoneError):
        await trainer.send(ipc.Finish())
    assert await trainer.end() == 3
    trainer.kill()
    with pytest.raises(LearnerGoneError):
        await trainer.send(ipc.Finish())
    assert await trainer.receive() is None
    assert (tmp_path / "trainer.log").read_text() == "my last words\n"


@pytest.mark.anyio
async def test_its_log_keeps_the_last_words_of_those_before(start, tmp_path):
    for _ in range(2):
        await (await start("dies")).wait()
    assert (tmp_path / "trainer.log").read_text() == 2 * "my last words\n"


@pytest.mark.anyio
async def test_it_leads_a_group_of_its_own_so_that_ctrl_c_passes_it_by(start):
    trainer = await start("ignores")
    assert isinstance(await trainer.receive(), ipc.Ready)
    assert os.getpgid(trainer.pid) == trainer.pid != os.getpgid(0)
    trainer.kill()
    assert await trainer.wait() == -signal.SIGKILL


@pytest.mark.anyio
@pytest.mark.parametrize(("said", "cores", "threads"), [(None, 4, "3"), (None, 1, "1"), ("7", 4, "7")])
async def test_it_leaves_a_core_to_the_daemon_unless_told_otherwise(start, monkeypatch, said, cores, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    trainer = await start("finishes")
    ready = await trainer.receive()
    assert isinstance(ready, ipc.Ready)
    assert ready.device == threads
    await trainer.end()
