import socket

import pytest

from peer.trainer.link import Closed, Link, hear_first
from protocol.fetching import Download
from protocol.manifest import Manifest
from protocol.trainer import Begin, Finish, Finished, NoMix
from tests.peer.trainer.daemon import Daemon

BEGIN = Begin(
    manifest=Manifest(founder=bytes(32)),
    peer_id="12D3",
    home="home",
    spool="spool",
    device="cpu",
    shard=0,
    stop_at=None,
    data_paths=(),
    tokenizer_path=None,
    weights_path=None,
    batch=None,
    state=None,
)


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    link, daemon = Link(ours), Daemon(theirs)
    yield link, daemon
    daemon.close()
    while not isinstance(link.wait(), Closed):
        pass
    link.close()


def test_messages_come_in_order(ends):
    link, daemon = ends
    for share in range(100):
        daemon.send(NoMix(share=share))
    daemon.send(Finish())
    assert [link.wait() for _ in range(101)] == [*(NoMix(share=share) for share in range(100)), Finish()]
    assert link.poll() is None


def test_messages_go_out(ends):
    link, daemon = ends
    link.send(Finished(inner_step=3, reached_stop=True))
    assert daemon.hear() == Finished(inner_step=3, reached_stop=True)


@pytest.mark.parametrize("last", [b"", b"\0\0\0\7half", b"\xff\xff\xff\xff", b"\0\0\0\1\xc1"])
def test_the_end_and_nonsense_close_the_link(last):
    ours, theirs = socket.socketpair()
    link = Link(ours)
    theirs.sendall(last)
    theirs.close()
    assert isinstance(link.wait(), Closed)
    link.send(Finished(inner_step=3, reached_stop=True))
    link.close()


def test_what_comes_behind_the_first_message_is_left_to_whoever_reads_on():
    ours, theirs = socket.socketpair()
    daemon = Daemon(theirs)
    daemon.send(NoMix(share=1), NoMix(share=2), Finish())
    assert hear_first(ours) == NoMix(share=1)
    link = Link(ours)
    assert [link.wait(), link.wait()] == [NoMix(share=2), Finish()]
    daemon.close()
    assert isinstance(link.wait(), Closed)
    link.close()


@pytest.mark.parametrize("last", [b"", b"\0\0", b"\0\0\0\7half"])
def test_a_daemon_that_is_gone_before_it_has_said_anything(last):
    ours, theirs = socket.socketpair()
    theirs.sendall(last)
    theirs.close()
    with ours:
        assert isinstance(hear_first(ours), Closed)


def test_a_rate_is_heard_at_once_and_is_no_message(ends):
    link, daemon = ends
    heard = []
    link.hear_rate(heard.append)
    daemon.send(Download(rate=1000.0))
    daemon.send(Finish())
    assert link.wait() == Finish()
    assert heard == [1000.0]


def test_a_rate_that_comes_before_anybody_hears_it_is_kept_until_the_next_begin(ends):
    link, daemon = ends
    daemon.send(Download(rate=2000.0), Download(rate=1000.0), NoMix(share=1))
    assert link.wait() == NoMix(share=1)
    first, second, third = [], [], []
    link.hear_rate(first.append)
    assert first == [1000.0]

    daemon.send(BEGIN)
    assert link.wait() == BEGIN
    link.hear_rate(second.append)
    assert second == [], "what was said before it is out of date"

    daemon.send(BEGIN, Download(rate=500.0), NoMix(share=2))
    assert [link.wait(), link.wait()] == [BEGIN, NoMix(share=2)]
    link.hear_rate(third.append)
    assert (first, third) == ([1000.0], [500.0])
