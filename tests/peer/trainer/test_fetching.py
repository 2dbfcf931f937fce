"""Which runs may fetch something by themselves, and how fast."""

import socket
from contextlib import closing

from msgspec.structs import replace

from peer.trainer.fetching import fetches, fetching
from peer.trainer.hf.intake import Intake
from peer.trainer.link import Link
from protocol.fetching import Download
from protocol.manifest import Data, Manifest, Part
from protocol.streamed import Dataset
from protocol.trainer import Finish
from tests.peer.trainer.daemon import Daemon
from tests.peer.trainer.test_link import BEGIN

PLAIN = Manifest(founder=bytes(32))
ROWS = Dataset(name="org/rows", files=bytes(32), end=0)


def test_text_of_this_host_is_not_fetched():
    assert not fetches(PLAIN)
    assert not fetches(replace(PLAIN, data=Data(source="text", sha256=bytes(32))))


def test_rows_are():
    assert fetches(replace(PLAIN, data=Data(source="hf", dataset=ROWS)))
    parts = (Part(source="shakespeare"), Part(source="hf", dataset=ROWS))
    assert fetches(replace(PLAIN, data=Data(source="mixture", mixture=parts)))


def test_a_rate_that_was_told_while_the_trainer_started_holds(monkeypatch):
    told = []
    monkeypatch.setattr(Intake, "change", lambda _, rate: told.append(rate))
    begin = replace(BEGIN, manifest=replace(PLAIN, data=Data(source="hf", dataset=ROWS)))
    ours, theirs = socket.socketpair()
    with theirs, closing(Link(ours)) as link:
        Daemon(theirs).send(Download(rate=1000.0), Finish())
        assert link.wait() == Finish()
        with fetching(link, begin):
            assert told == [1000.0]
