"""The plain mode: what is said, and what is not said twice."""

import io

import msgspec
import pytest

from peer.telemetry.events import PeerSeen
from peer.watch.plain import PROGRESS, Plain, summary
from peer.watch.seen import Seen
from protocol.control import Transfer
from tests.peer.daemon.controls import DETAIL, PARTNER, detail
from tests.peer.watch.test_lines import HOSTILE

NEWS = PeerSeen(time=0.0, peer=PARTNER)


def _later(seconds, **changes):
    return detail(time=DETAIL.time + seconds, inner_step=120 + int(seconds * 4), **changes)


def test_it_begins_with_how_everything_stands():
    said = "\n".join(Plain().lines(Seen(DETAIL, (NEWS,))))
    for words in (
        "in run tiny: noloco, int8",
        "state: training, for 12 min 5 s",
        "step 120, loss 2.500 nats a token, 12,346 tokens a second, next outer step in 4.2 s",
        "5 exchanges, 1 failed, 1 skipped",
        "well: 3 peers in view",
        "peer 12D3..aB3f: direct, 2 lanes, 1.2 MB/s in, 2.4 MB/s out, round trip 12 ms",
        "peer 12D3..aB3f is here",
    ):
        assert words in said


def test_what_pictures_show_is_said_in_words():
    said = summary(Seen(DETAIL))
    for line in (
        "loss 5.500 at step 1, 2.600 at 30, 2.550 at 60, 2.533 at 90, 2.525 at 120",
        "exchange with 12D3..Myg8 3.0 s ago: failed, not done after 30.0 s",
        "exchange with 12D3..aB3f 10.0 s ago: took 0.8 s, 1.2 MB, 1.23% apart",
        "receiving from 12D3..aB3f: 25% of 4.0 MB, 500.0 kB/s",
    ):
        assert line in said
    assert said.index("exchange with 12D3..Myg8 3.0 s ago: failed, not done after 30.0 s") < said.index(
        "exchange with 12D3..aB3f 10.0 s ago: took 0.8 s, 1.2 MB, 1.23% apart"
    ), "the newest first"


def test_a_transfer_that_has_just_begun_has_no_rate_yet():
    begun = Transfer(peer=PARTNER, outward=True, size=0, moved=0, seconds=0.0)
    assert "sending to 12D3..aB3f: 0% of 0 B" in summary(Seen(detail(transfers=(begun,))))


@pytest.mark.parametrize(("points", "words"), [(0, ""), (1, ""), (2, "loss 5.500 at step 1, 4.000 at 2")])
def test_a_young_run_has_a_short_course(points, words):
    said = summary(Seen(detail(losses=DETAIL.losses[:points])))
    assert [line for line in said if line.startswith("loss ")] == [words] * bool(words)


def test_a_peer_that_has_exchanged_nothing_says_nothing_of_it():
    said = "\n".join(summary(Seen(detail(recent=(), transfers=(), losses=()))))
    for word in ("exchange with", "receiving", "sending", "\nloss"):
        assert word not in said


def test_a_tasks_loss_has_no_unit_and_its_examples_are_counted():
    (line,) = [each for each in summary(Seen(detail(task="shapes"))) if each.startswith("step")]
    assert line.startswith("step 120, loss 2.500, 12,346 examples a second, ")


def test_where_nothing_changes_nothing_is_said():
    plain = Plain()
    plain.lines(Seen(DETAIL))
    assert plain.lines(Seen(DETAIL)) == []
    assert plain.lines(Seen(_later(PROGRESS - 1))) == []


def test_events_are_told_as_they_come_and_once():
    plain = Plain()
    plain.lines(Seen(DETAIL, (NEWS,)))
    (line,) = plain.lines(Seen(DETAIL, (NEWS,), fresh=(NEWS,)))
    assert line.endswith("peer 12D3..aB3f is here")
    assert plain.lines(Seen(DETAIL, (NEWS,))) == []


def test_progress_is_told_now_and_then():
    plain = Plain()
    plain.lines(Seen(DETAIL))
    line, transfer = plain.lines(Seen(_later(PROGRESS)))
    assert line.startswith("step 180, loss 2.500")
    assert transfer.startswith("receiving from 12D3..aB3f: 25% of 4.0 MB")
    assert plain.lines(Seen(_later(PROGRESS + 1))) == []
    assert plain.lines(Seen(_later(3 * PROGRESS)))


def test_a_change_of_state_and_of_health_is_told_and_its_end():
    plain = Plain()
    plain.lines(Seen(DETAIL))
    said = plain.lines(Seen(detail(state="restarting trainer", alone_seconds=20.0)))
    assert said == [
        "state: restarting trainer",
        "attention: ALONE for 20.0 s: no peer in view",
        "attention: the trainer died and is being restarted",
    ]
    assert plain.lines(Seen(detail(state="restarting trainer", alone_seconds=21.0))) == [], "only longer"
    assert plain.lines(Seen(DETAIL)) == ["state: training", "no longer: a dead trainer", "no longer: alone"]


def test_what_strangers_send_stays_on_its_line():
    recent = tuple(msgspec.structs.replace(each, partner=HOSTILE, reason=HOSTILE) for each in DETAIL.recent)
    transfers = (msgspec.structs.replace(DETAIL.transfers[0], peer=HOSTILE),)
    hostile = Seen(detail(run_name=HOSTILE, recent=recent, transfers=transfers), (NEWS,))
    for line in summary(hostile):
        assert line.isprintable()


def test_a_terminal_without_its_letters_is_no_reason_to_end(monkeypatch):
    from peer.watch.run import _say

    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", out)
    _say(["鳥 flies"])
    assert out.buffer.getvalue() == b"? flies\n"
