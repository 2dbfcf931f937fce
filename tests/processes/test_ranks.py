"""A peer whose trainer has two processes: one host, one peer, whatever befalls either of them."""

import signal

import psutil
import pytest

from tests.processes.support import PATIENCE, family, small_run

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

TWO = ("--device", "cpu,cpu", "--micro-batch", "1")


def ranks(peer):
    """The processes that torchrun has started, by rank."""
    started = psutil.Process(peer.status()["trainer_pid"]).children()
    return sorted(started, key=lambda each: int(each.environ()["RANK"]))


def listening(processes):
    """The addresses at which any of them listens."""
    found = [each for process in processes for each in process.net_connections()]
    return {each.laddr.ip for each in found if each.status == psutil.CONN_LISTEN}


def test_two_ranks_are_one_peer_that_trains_exchanges_and_comes_back(tmp_path):
    with family(tmp_path) as members:
        members.run_file.write_text(small_run(200))
        alone = members.found("alone")
        both = members.start("both", "--bootstrap", alone.address, *TWO)
        started = both.wait_for("trainer_started")
        assert (started["device"], started["ranks"]) == ("cpu,cpu", 2)
        # Four sequences, two for each rank, one after the other.
        assert both.wait_for("batch_fitted") | {"time": 0} == {
            "event": "batch_fitted", "time": 0, "micro_batch": 1, "batch": 2, "how": "found",
        }  # fmt: skip
        both.wait_for("exchange_done")
        alone.wait_for("exchange_done")
        told = both.status()
        assert (told["ranks"], told["micro_batch"], told["loss"] < 6) == (2, 1, True)

        torchrun = psutil.Process(told["trainer_pid"])
        assert listening([torchrun]) == set()
        assert listening(ranks(both)) <= {"127.0.0.1", "::1"}

        # Without one of them no step would ever end: both go, and come back where the checkpoint is.
        first, second = ranks(both)
        second.kill()
        assert both.wait_for("trainer_died")["code"] == -signal.SIGKILL
        first.wait(PATIENCE)
        started = both.wait_for("trainer_started")
        assert (started["resumed"], started["ranks"]) == (True, 2)
        assert both.wait_for("batch_fitted")["how"] == "remembered"
        both.drain()
        both.wait_for("exchange_done")

        first, second = ranks(both)
        assert both.end(signal.SIGTERM) == 0
        psutil.wait_procs([first, second], PATIENCE)
        assert not any(each.is_running() for each in (first, second))
        assert (both.home / "checkpoints" / f"step-{both.drain()[-1]['inner_step']:08d}").is_dir()
