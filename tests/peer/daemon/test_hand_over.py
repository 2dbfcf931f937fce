import pytest
import trio

from peer.daemon.hand_over import MOST_AT_ONCE, HandOver
from peer.swarm.learner import LearnerGoneError
from peer.swarm.ledger import Ledger
from protocol.codec import decode
from protocol.identity import Identity
from protocol.pages import Evidence, SignedVotes, sign_page
from protocol.trainer import Log, Logs, Tallied

RUN = bytes(32)
ME, OTHER = Identity(bytes([1] * 32)), Identity(bytes([2] * 32))

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Trainer:
    """Reads each file and keeps the logs as the real one does."""

    def __init__(self, spool):
        self.spool = spool
        self.ledger = Ledger(RUN, 4 * MOST_AT_ONCE)
        self.hand_over = HandOver(self.ledger, ME.public_key, spool, self.tell)
        self.logs: dict[bytes, bytes] = {}
        self.files: list[tuple[Log, ...]] = []
        self.gone = False

    def begin(self):
        self.logs = {}
        self.read(self.hand_over.whole())

    def read(self, name):
        path = self.spool / name
        logs = decode(path.read_bytes(), Logs, 1 << 20).logs
        path.unlink()
        self.files.append(logs)
        for log in logs:
            self.logs[log.voter] = self.logs.get(log.voter, b"")[: log.start] + log.votes

    async def tell(self, message):
        if self.gone:
            raise LearnerGoneError
        self.read(message.file)
        self.hand_over.tallied(Tallied(votes=0))

    def cast(self, voter, votes):
        for part in self.ledger.sign(voter, votes):
            self.ledger.take(part)

    async def run(self):
        with trio.move_on_after(5):
            await self.hand_over.run()


async def test_a_trainer_that_begins_gets_everything_and_then_what_is_new(tmp_path):
    trainer = Trainer(tmp_path)
    trainer.cast(ME, b"mine")
    trainer.cast(OTHER, b"theirs")
    trainer.begin()
    trainer.cast(OTHER, b"more")
    trainer.cast(ME, b"own")
    await trainer.run()
    # Our own new votes are the trainer's already.
    assert trainer.logs == {ME.public_key: b"mine", OTHER.public_key: b"theirsmore"}
    assert trainer.files[1:] == [(Log(voter=OTHER.public_key, start=6, votes=b"more"),)]


async def test_a_flood_comes_in_portions(tmp_path):
    trainer = Trainer(tmp_path)
    trainer.begin()
    flood = bytes([7]) * (2 * MOST_AT_ONCE + 1)
    trainer.cast(OTHER, flood)
    await trainer.run()
    assert trainer.logs[OTHER.public_key] == flood
    assert [len(log.votes) for logs in trainer.files[1:] for log in logs] == [MOST_AT_ONCE, MOST_AT_ONCE, 1]


async def test_a_cheats_votes_are_withdrawn(tmp_path):
    trainer = Trainer(tmp_path)
    trainer.cast(OTHER, b"abc")
    trainer.begin()
    (part,) = trainer.ledger.parts(OTHER.public_key, 0)
    forked = SignedVotes(
        voter=OTHER.public_key, start=0, votes=b"abX", signature=sign_page(OTHER, RUN, 0, b"abX")
    )
    trainer.ledger.take(Evidence(one=part, other=forked))
    await trainer.run()
    assert trainer.logs == {OTHER.public_key: b""}


async def test_a_dead_trainer_misses_nothing(tmp_path):
    trainer = Trainer(tmp_path)
    trainer.begin()
    trainer.gone = True
    trainer.cast(OTHER, b"abc")
    await trainer.run()
    assert list(tmp_path.iterdir()) == []
    trainer.gone = False
    trainer.begin()
    trainer.cast(OTHER, b"def")
    await trainer.run()
    assert trainer.logs == {OTHER.public_key: b"abcdef"}


async def test_finishing_waits_until_all_is_counted(tmp_path):
    trainer = Trainer(tmp_path)
    trainer.begin()
    await trainer.hand_over.finish()
    trainer.cast(OTHER, b"abc")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trainer.run)
        await trainer.hand_over.finish()
        assert trainer.logs == {OTHER.public_key: b"abc"}
        nursery.cancel_scope.cancel()
