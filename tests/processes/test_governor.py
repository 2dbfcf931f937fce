"""Limits as a volunteer sets them: a real peer pauses by itself, says why, and goes on when they are gone."""

import signal
from datetime import datetime, timedelta

import pytest

from peer.daemon.limits_file import read_given
from tests.processes.support import family, small_run
from tests.processes.test_pausing import command

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


def test_hours_that_exclude_now_pause_a_peer_until_they_are_taken_back(tmp_path):
    begin = datetime.now().astimezone() + timedelta(hours=2)
    hours = f"{begin:%H:%M}-{begin + timedelta(hours=1):%H:%M}"
    reason = f"outside the hours {hours}; next at {begin:%H:%M}"
    with family(tmp_path) as members:
        members.run_file.write_text(small_run(preset="solo"))
        peer = members.found("volunteer", "--shard", "0")
        used = peer.wait_for("uses")
        assert (used["device"], used["batch"], used["month_bytes"]) == ("cpu", 4, 0)
        command(peer, "limits", "--hours", hours)
        assert peer.wait_for("limits_changed")["limits"] == [f"pauses outside {hours}"]
        paused = peer.wait_for("paused")
        assert (paused["kind"], paused["reason"]) == ("hours", reason)
        assert paused["inner_step"] > 0
        told = peer.status()
        assert (told["state"], told["pause"]["reason"], len(told["pauses"])) == ("paused", reason, 1)
        assert f"attention: paused: {reason}" in command(peer, "top", "--once", "--plain")
        # A person's pause and the governor's never undo each other.
        assert command(peer, "pause", "--reason", "rendering") == "paused: rendering"
        assert command(peer, "resume") == f"paused: {reason}"
        command(peer, "limits", "--hours", "none")
        assert peer.wait_for("resumed")["reason"] == reason
        assert peer.end(signal.SIGTERM) == 0
        stopped = peer.wait_for("stopped")["inner_step"]
        assert stopped >= paused["inner_step"]
        assert read_given(peer.home) == {"pause_for_others": False, "pause_on_battery": False}
        # What it uses is the same as last time, and not said again.
        again = members.start("volunteer", "--steps", str(stopped + 200))
        assert again.wait() == 0
        assert "uses" not in {told["event"] for told in again.drain()}
