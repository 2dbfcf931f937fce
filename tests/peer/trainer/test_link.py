import socket

import pytest

from peer.trainer.link import Closed, Link
from protocol.trainer import Finish, Finished, NoMix
from tests.peer.trainer.daemon import Daemon


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
