"""The `onebyte` trainer over a socket pair; the test plays the daemon."""

import socket
import threading
from contextlib import closing

import pytest
from msgspec.structs import replace

from peer.errors import CheckpointError
from peer.trainer import checkpoint, starving
from peer.trainer.link import Link
from peer.trainer.onebyte.train import train
from peer.trainer.onebyte.voter import Voter
from protocol.codec import encode
from protocol.identity import peer_id_of
from protocol.trainer import (
    Begin,
    Checkpointed,
    Finish,
    Finished,
    Log,
    Logs,
    Pause,
    Paused,
    Progress,
    Ready,
    Resume,
    Settled,
    Tallied,
    Voted,
    Votes,
    Waiting,
)
from tests.peer.trainer.daemon import Daemon
from tests.peer.trainer.onebyte.small import ME, OTHER, bits, run, voter, write_base
from tests.peer.trainer.tiny import run_id


class Session:
    """A trainer on a thread of its own."""

    def __init__(self, folder, manifest, *, stop_at=None, votes=None, weights=None):
        ours, theirs = socket.socketpair()
        self.daemon, link = Daemon(ours), Link(theirs)
        self.spool = folder / "spool"
        self.spool.mkdir(exist_ok=True)
        name = None if votes is None else self.write("whole", votes)
        begin = Begin(
            manifest=manifest, peer_id=peer_id_of(ME), home=str(folder), spool=str(self.spool), device="cpu",
            shard=0, stop_at=stop_at, data_paths=(), tokenizer_path=None, batch=None, state=None,
            weights_path=str(weights), votes=name,
        )  # fmt: skip
        self.thread = threading.Thread(target=self._train, args=(link, begin), daemon=True)
        self.thread.start()

    def _train(self, link, begin):
        with closing(link):
            train(link, begin)

    def write(self, name, logs):
        made = Logs(logs=tuple(Log(voter=voter, start=start, votes=votes) for voter, start, votes in logs))
        (self.spool / name).write_bytes(encode(made))
        return name

    def end(self):
        heard = self.daemon.hear_out()
        self.thread.join(30)
        self.daemon.close()
        assert list(self.spool.iterdir()) == []
        return heard


@pytest.fixture
def begun(tmp_path):
    path, sha256 = write_base(tmp_path)
    manifest = run(steps=6)
    return replace(manifest, model=replace(manifest.model, sha256=sha256)), path


def _voted(heard):
    return [message for message in heard if isinstance(message, Voted)]


def test_it_votes_to_its_last_step_counts_on_and_ends_when_told(tmp_path, begun):
    manifest, path = begun
    session = Session(tmp_path, manifest, stop_at=3, votes=[], weights=path)
    assert session.daemon.hear_a(Ready).inner_step == 0
    while not session.daemon.hear_a(Voted).final:
        pass
    session.daemon.send(Votes(file=session.write("more", [(OTHER, 0, bytes(range(60, 80)))])))
    assert session.daemon.hear_a(Tallied).votes == 12 + 20
    session.daemon.send(Settled())
    heard = session.end()
    ours = _voted(heard)
    assert [(len(voted.votes), voted.start, voted.final) for voted in ours] == [
        (4, 0, False), (4, 4, False), (4, 8, True)
    ]  # fmt: skip
    assert heard[-1] == Finished(inner_step=3, reached_stop=True)
    assert any(isinstance(message, Progress) for message in heard)
    assert isinstance(heard[-2], Checkpointed)
    replayed = voter(manifest, OTHER)
    replayed.count([
        Log(voter=ME, start=0, votes=b"".join(voted.votes for voted in ours)),
        Log(voter=OTHER, start=0, votes=bytes(range(60, 80))),
    ])  # fmt: skip
    saved = voter(manifest)
    saved.restore(checkpoint.newest(tmp_path / "checkpoints", run_id(manifest)))
    assert bits(saved.theta).equal(bits(replayed.theta))


def test_a_full_log_is_kept_for_newcomers_until_told(tmp_path, begun):
    manifest, path = begun
    session = Session(tmp_path, manifest, votes=[], weights=path)
    for _ in range(6):
        assert not session.daemon.hear_a(Voted).final
    session.daemon.send(Finish())
    assert session.end()[-1] == Finished(inner_step=6, reached_stop=False)


def test_a_paused_voter_neither_casts_nor_counts(tmp_path, begun):
    manifest, path = begun
    session = Session(tmp_path, manifest, stop_at=5, votes=[], weights=path)
    session.daemon.hear_a(Voted)
    session.daemon.send(Pause())
    at = session.daemon.hear_a(Paused).inner_step
    assert at < 5
    # Whatever it says next, it says after `Resume`: the link keeps the order of what it is sent.
    session.daemon.send(Votes(file=session.write("more", [(OTHER, 0, bytes(range(60, 80)))])), Resume())
    assert isinstance(session.daemon.hear(), Tallied)
    while not session.daemon.hear_a(Voted).final:
        pass
    session.daemon.send(Pause())
    session.daemon.hear_a(Paused)
    session.daemon.send(Votes(file=session.write("last", [(OTHER, 20, bytes([7]))])), Finish())
    assert session.daemon.hear_a(Tallied).votes == 20 + 21
    assert session.end()[-1] == Finished(inner_step=5, reached_stop=True)


def test_without_data_it_says_so_and_counts_others_votes(tmp_path, begun, monkeypatch):
    fed = threading.Event()

    def lacks(voter):
        return "the Hub sleeps" if voter.counters.inner_step == 2 and not fed.is_set() else None

    monkeypatch.setattr(Voter, "lacks", property(lacks))
    monkeypatch.setattr(starving, "SHORT_WAIT", 0.0)
    manifest, path = begun
    session = Session(tmp_path, manifest, stop_at=5, votes=[], weights=path)
    assert session.daemon.hear_a(Waiting) == Waiting(reason="the Hub sleeps", inner_step=2)
    session.daemon.send(Votes(file=session.write("more", [(OTHER, 0, bytes(range(60, 80)))])))
    assert session.daemon.hear_a(Tallied).votes == 8 + 20
    session.daemon.send(Pause())
    assert session.daemon.hear_a(Paused).inner_step == 2
    session.daemon.send(Resume())
    session.daemon.hear_a(Waiting)
    fed.set()
    while not session.daemon.hear_a(Voted).final:
        pass
    session.daemon.send(Settled())
    assert session.end()[-1] == Finished(inner_step=5, reached_stop=True)


def test_it_goes_on_from_the_ledger(tmp_path, begun):
    manifest, path = begun
    session = Session(tmp_path, manifest, stop_at=5, votes=[(ME, 0, bytes(16))], weights=path)
    assert session.daemon.hear_a(Ready).inner_step == 4
    voted = session.daemon.hear_a(Voted)
    assert (voted.start, voted.final) == (16, True)
    session.daemon.send(Settled())
    session.end()
    again = Session(tmp_path, manifest, stop_at=5, votes=[(ME, 0, bytes(16) + voted.votes)], weights=path)
    ready = again.daemon.hear_a(Ready)
    assert (ready.resumed, ready.inner_step) == (True, 5)
    # It has nothing left to say, and says that.
    assert again.daemon.hear_a(Voted) == Voted(start=0, votes=b"", final=True)
    again.daemon.send(Settled())
    again.end()


def test_it_ends_with_its_daemon(tmp_path, begun):
    manifest, path = begun
    session = Session(tmp_path, manifest, votes=[], weights=path)
    session.daemon.hear_a(Ready)
    session.daemon.close()
    session.thread.join(30)
    assert not session.thread.is_alive()
    assert checkpoint.newest(tmp_path / "checkpoints", run_id(manifest)) is not None


def test_other_first_weights_are_refused(tmp_path, begun):
    manifest, path = begun
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    ours, theirs = socket.socketpair()
    begin = Begin(
        manifest=manifest, peer_id=peer_id_of(ME), home=str(tmp_path), spool=str(tmp_path), device="cpu",
        shard=0, stop_at=None, data_paths=(), tokenizer_path=None, batch=None, state=None,
        weights_path=str(path),
    )  # fmt: skip
    with ours, closing(Link(theirs)) as link, pytest.raises(CheckpointError, match="has the hash"):
        train(link, begin)
