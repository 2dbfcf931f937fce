"""Pauses as a volunteer makes them: through the commands, over a restart, and beside a partner."""

import signal
import subprocess
import sys

import pytest

from peer.daemon.client import ControlClient
from peer.daemon.runtime import control_socket
from tests.checkpoints import learned
from tests.processes.support import PATIENCE, family, small_run

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

STEPS = 1200
SOLO = ("--shard", "0", "--steps", str(STEPS))


def command(peer, *arguments):
    """What a command about a peer says."""
    done = subprocess.run(
        [sys.executable, "-m", "peer", *arguments, "--home", str(peer.home)],
        capture_output=True, text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    return done.stdout.strip()


def test_pauses_and_a_restart_in_one_change_nothing_in_the_result(tmp_path):
    with family(tmp_path) as members:
        members.run_file.write_text(small_run(preset="solo"))
        undisturbed = members.found("undisturbed", *SOLO)
        paused = members.found("paused", *SOLO)
        paused.wait_for("metrics_served")
        assert command(paused, "pause", "--reason", "rendering") == "paused: rendering"
        assert paused.wait_for("paused")["reason"] == "rendering"
        assert paused.end(signal.SIGTERM) == 0

        # Who pauses by hand resumes by hand: it is still paused, and has not even loaded its model.
        paused = members.start("paused", *SOLO)
        assert paused.wait_for("paused") | {"time": 0} == {
            "event": "paused", "time": 0, "kind": "hand", "reason": "rendering", "inner_step": None,
        }  # fmt: skip
        status = paused.status()
        assert (status["state"], status["pause"]["reason"]) == ("paused", "rendering")
        with ControlClient(control_socket(paused.home)) as client:
            assert client.resume().pause is None
            paused.wait_for("trainer_started")
            for _ in range(10):
                assert client.pause("").state == "paused"
                assert paused.wait_for("paused")["inner_step"] < STEPS
                assert client.resume().pause is None
        assert paused.wait() == 0
        assert undisturbed.wait() == 0
        found, wanted = (
            learned(peer.home / "checkpoints" / f"step-{STEPS:08d}") for peer in (paused, undisturbed)
        )
        assert found == wanted


def test_a_paused_peer_holds_no_partner_up_and_finishes_in_order(tmp_path):
    with family(tmp_path) as members:
        # Outer steps so long that no exchange fails because its share is overtaken.
        members.run_file.write_text(small_run(200))
        first = members.found("first")
        second = members.start("second", "--bootstrap", first.address)
        second.wait_for("exchange_done")
        assert command(first, "pause") == "paused: by hand"
        at = first.wait_for("paused")["inner_step"]
        # Alone with a peer that rests, the other goes on without it, outer step by outer step.
        second.drain()
        beyond = second.wait_for("share_ready")["outer_step"] + 3
        second.wait_for("share_ready", lambda told: told["outer_step"] >= beyond)
        told = first.status()
        assert (told["state"], told["inner_step"], told["trainer_restarts"]) == ("paused", at, 0)
        assert second.status()["peers_in_view"] == 1
        assert command(first, "resume") == "training"
        second.drain()
        second.wait_for("exchange_done")
        assert command(first, "finish").startswith("finished at step ")
        assert first.wait() == 0
        stopped = first.drain()[-1]
        assert (stopped["event"], stopped["reason"]) == ("stopped", "told to finish")
        second.wait_for("peer_gone", lambda told: told["reason"] == "goodbye")
        failed = [told for told in second.drain() if told["event"] == "exchange_failed"]
        assert failed == []
        assert second.end(signal.SIGTERM) == 0
