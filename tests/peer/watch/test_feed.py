"""Looks at a control socket and an event log, as of a daemon that runs, hangs, and ends."""

import os
from contextlib import ExitStack

import pytest

from peer.daemon.home import Home
from peer.errors import NotRunningError
from peer.telemetry.event_file import EventFile
from peer.telemetry.events import PeerSeen, Stopped
from peer.watch.feed import EndedError, Feed
from tests.peer.daemon.controls import DETAIL, serving, socket_folder

NEWS = PeerSeen(time=0.0, peer="12D3")


@pytest.fixture
def home(tmp_path):
    """A home whose daemon would serve at `control.sock` of the second value."""
    with socket_folder() as folder, Home.open(tmp_path / "home") as home:
        (home.path / "runtime").write_bytes(os.fsencode(folder))
        yield home, folder / "control.sock"


def test_each_look_brings_what_is_new(home):
    home, path = home
    with EventFile(home.events) as log, serving(path), Feed(home.path) as feed:
        first = feed.look()
        log.append(NEWS)
        second, third = feed.look(), feed.look()
    assert (first.detail, first.events, first.fresh) == (DETAIL, (), ())
    assert (second.events, second.fresh) == ((NEWS,), (NEWS,))
    assert (third.events, third.fresh) == ((NEWS,), ())
    assert third.silent < 1


def test_what_happened_before_is_seen_but_not_new(home):
    home, path = home
    with EventFile(home.events) as log:
        log.append(NEWS)
    with serving(path), Feed(home.path) as feed:
        seen = feed.look()
    assert (seen.events, seen.fresh) == ((NEWS,), ())


def test_where_no_daemon_runs_there_is_nothing_to_watch(tmp_path):
    with pytest.raises(NotRunningError), Feed(tmp_path):
        pass


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Stopped(reason="asked to", inner_step=5), "the daemon has ended: stopped at step 5: asked to"),
        (NEWS, "the daemon has ended without a goodbye; its log may say why"),
    ],
)
def test_the_end_of_the_daemon_is_told_with_its_last_words(home, said, words):
    home, path = home
    with EventFile(home.events) as log, ExitStack() as stack:
        with serving(path):
            feed = stack.enter_context(Feed(home.path))
            feed.look()
        log.append(said)
        (home.path / "runtime").unlink()
        with pytest.raises(EndedError, match=f"^{words}$"):
            feed.look()


def test_a_connection_that_broke_is_made_anew(home):
    home, path = home
    with ExitStack() as stack:
        with serving(path):
            feed = stack.enter_context(Feed(home.path))
        with serving(path):
            assert feed.look().detail == DETAIL


def test_a_daemon_that_hangs_is_shown_as_it_was(home, monkeypatch):
    monkeypatch.setattr("peer.watch.feed.PATIENCE", 0.05)
    home, path = home
    hanging = []

    def show():
        if hanging:
            hanging[0].wait(30)
        return DETAIL

    import threading

    with serving(path, show=show), Feed(home.path) as feed:
        hanging.append(threading.Event())
        try:
            seen = feed.look()
        finally:
            hanging[0].set()
    assert seen.detail == DETAIL
    assert seen.silent >= 0.05
