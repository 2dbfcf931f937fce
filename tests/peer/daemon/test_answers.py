"""Which answer goes to whom, and what becomes of one that nobody waits for."""

import pytest
import trio

from peer.daemon.answers import Answers, Waiting
from peer.swarm.learner import LearnerGoneError
from protocol import trainer as ipc


@pytest.fixture
def answers(tmp_path):
    return Answers(tmp_path)


def blob(folder, name: str) -> ipc.Blob:
    (folder / name).touch()
    return ipc.Blob(file=name, size=1, sha256=bytes(32))


def reduced(part: int, body: ipc.Blob | None = None) -> ipc.Reduced:
    return ipc.Reduced(share=1, part=part, body=body, refused=())


@pytest.mark.anyio
async def test_answers_alike_go_to_those_who_asked_first(answers):
    first, second, other = Waiting[ipc.Reduced](), Waiting[ipc.Reduced](), Waiting[ipc.Reduced]()
    answers.expect((ipc.Reduced, 1, 0), first)
    answers.expect((ipc.Reduced, 1, 0), second)
    answers.expect((ipc.Reduced, 1, 1), other)
    said = [reduced(1), reduced(0), reduced(0)]
    for message in said:
        answers.take(message)
    assert [await each.wait() for each in (other, first, second)] == said


@pytest.mark.anyio
async def test_what_nobody_waits_for_is_deleted(answers, tmp_path):
    gone, retracted = Waiting[ipc.Reduced](), Waiting[ipc.Reduced]()
    answers.expect((ipc.Reduced, 1, 0), gone)
    with trio.move_on_after(0):
        await gone.wait()
    answers.expect((ipc.Reduced, 1, 1), retracted)
    answers.retract((ipc.Reduced, 1, 1), retracted)
    state = ipc.State(file="state", inner_step=0, outer_step=0, tokens=0)
    (tmp_path / "state").touch()
    for message in (
        reduced(0, blob(tmp_path, "mean-0")),
        reduced(1, blob(tmp_path, "mean-1")),
        ipc.Encoded(share=1, body=blob(tmp_path, "body")),
        ipc.Opened(share=1, failed=blob(tmp_path, "failed"), failed_blocks=1, blocks=2, reason=""),
        ipc.Parts(share=1, parts=(blob(tmp_path, "part-0"), blob(tmp_path, "part-1"))),
        ipc.Captured(state=state, size=1, hashes=bytes(32)),
        ipc.Finished(inner_step=1, reached_stop=True),
    ):
        answers.take(message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.anyio
async def test_all_are_told_that_the_trainer_is_gone(answers):
    waiting = Waiting[ipc.Reduced]()
    answers.expect((ipc.Reduced, 1, 0), waiting)
    answers.fail()
    with pytest.raises(LearnerGoneError):
        await waiting.wait()
    answers.retract((ipc.Reduced, 1, 0), waiting)  # as one does whose question could not be sent
