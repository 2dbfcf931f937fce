"""A peer that comes back with an old checkpoint, to a founder that has gone on without it."""

import shutil
import signal

import pytest

from peer.trainer import checkpoint
from tests.processes.support import family, small_run

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

EVERY = 100
"""Some tenths of a second: where outer steps pass faster than an exchange takes, most exchanges fail."""

OLD, FAR = 100, 2400
"""Inner steps: more than 16 outer steps apart."""


def _put_far_away(folder, run_id):
    """Scale the weights of the only checkpoint: so small a model stays within reach of its run for long."""
    contents = checkpoint.newest(folder, run_id)
    weights = {name: 100 * weight for name, weight in contents.weights.items()}
    state = contents.state | {"outer.phi": 100 * contents.state["outer.phi"]}
    shutil.rmtree(folder)
    checkpoint.Draft(folder, run_id, checkpoint.Contents(contents.counters, weights, state)).complete()


def test_a_peer_with_an_old_checkpoint_is_refused_catches_up_and_mixes(tmp_path):
    with family(tmp_path) as members:
        members.run_file.write_text(small_run(EVERY))
        founder = members.found("founder", "--steps", str(OLD))
        run_id = bytes.fromhex(founder.wait_for("joined")["run_id"])
        assert founder.wait() == 0
        # As if another had been there, and left: its checkpoint, and an identity of its own.
        shutil.copytree(founder.home, tmp_path / "back")
        (tmp_path / "back" / "identity.key").unlink()
        (tmp_path / "back" / "events.log").unlink()
        _put_far_away(tmp_path / "back" / "checkpoints", run_id)

        founder = members.start("founder")
        founder.wait_for("share_ready", lambda told: told["inner_step"] >= FAR)
        back = members.start("back", "--bootstrap", founder.address)
        assert back.wait_for("trainer_started")["inner_step"] == OLD
        assert back.wait_for("fell_behind")["outer_steps"] > 16
        refused = [told["reason"] for told in back.drain() if told["event"] == "mix_refused"]
        assert len(refused) >= 2
        started = back.wait_for("trainer_started")
        assert (started["resumed"], started["inner_step"] > FAR) == (False, True)
        back.wait_for("caught_up")
        back.wait_for("exchange_done")
        status = back.status()
        assert (status["state"], status["behind"], status["trainer_restarts"]) == ("training", None, 0)
        assert founder.end(signal.SIGTERM) == back.end(signal.SIGTERM) == 0
        assert [told for told in founder.drain() if told["event"] == "fell_behind"] == []
