"""The real trainer process over a socket pair; the test plays the daemon."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import save_file

from peer.errors import Exit
from peer.trainer import checkpoint
from peer.trainer.replica import Replica
from protocol.manifest import Data, Manifest
from protocol.trainer import (
    Begin,
    Capture,
    Captured,
    Checkpointed,
    Failed,
    Finish,
    Finished,
    Mixed,
    NoMix,
    Pause,
    Paused,
    Ready,
    Resume,
    Share,
    State,
    StateRefused,
    Theirs,
)
from tests.checkpoints import learned
from tests.peer.trainer.daemon import Daemon
from tests.peer.trainer.tiny import manifest, replica, run_id, train, work

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[3]


class Process:
    """A trainer process and the daemon's end of its socket."""

    def __init__(self, folder: Path, command: tuple[str, str] = ("-m", "peer.trainer"), **env: str) -> None:
        ours, theirs = socket.socketpair()
        self.home, self.spool = folder / "home", folder / "spool"
        for made in (self.home, self.spool):
            made.mkdir(exist_ok=True)
        self.daemon = Daemon(ours)
        with theirs:
            self.popen = subprocess.Popen(
                [sys.executable, *command, "--socket", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                env=os.environ | env,
                stderr=subprocess.PIPE,
                text=True,
            )

    def begin(self, run: Manifest, stop_at: int | None = None, **changes) -> None:
        asked: dict[str, Any] = {
            "manifest": run,
            "peer_id": "peer",
            "home": str(self.home),
            "spool": str(self.spool),
            "device": "cpu",
            "shard": 0,
            "stop_at": stop_at,
            "data_paths": (),
            "tokenizer_path": None,
            "weights_path": None,
            "batch": None,
            "state": None,
        }
        self.daemon.send(Begin(**asked | changes))

    def ended(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what it wrote to standard error."""
        if self.popen.stderr is not None and not self.popen.stderr.closed:
            _, self.errors = self.popen.communicate()
            self.daemon.close()
        return self.popen.returncode, self.errors

    def saved(self, run: Manifest) -> checkpoint.Contents:
        contents = checkpoint.newest(self.home / "checkpoints", run_id(run))
        assert contents is not None
        return contents


@pytest.fixture
def start(tmp_path):
    started: list[Process] = []

    def make(**changes) -> Process:
        started.append(Process(tmp_path, **changes))
        return started[-1]

    yield make
    for process in started:
        process.popen.kill()
        process.ended()


def test_a_run_with_a_mix_a_skip_a_hostile_share_and_a_resumption(start):
    run = manifest("gossip", every=4, mixes=1, overlap=False, codecs=("int8",))
    first = start()
    first.begin(run, stop_at=12)
    ready = first.daemon.hear_a(Ready)
    assert (ready.resumed, ready.inner_step, ready.parameters) == (False, 0, replica(run).theta.numel())

    share = first.daemon.hear_a(Share)
    assert share.body is not None
    own = (first.spool / share.body.file).read_bytes()
    (first.spool / "hostile").write_bytes(b"\xff" * len(own))
    first.daemon.send(Theirs(share=share.share, file="hostile", codec="int8", tokens=0, standing=64))
    refused = first.daemon.hear_a(Mixed)
    assert not refused.accepted
    (first.spool / "fine").write_bytes(own)
    first.daemon.send(Theirs(share=share.share, file="fine", codec="int8", tokens=0, standing=64))
    assert first.daemon.hear_a(Mixed).accepted
    for _ in range(2):
        first.daemon.send(NoMix(share=first.daemon.hear_a(Share).share))
    assert first.daemon.hear_out()[-1] == Finished(inner_step=12, reached_stop=True)
    assert first.ended()[0] == Exit.DONE

    second = start()
    second.begin(run, stop_at=16)
    ready = second.daemon.hear_a(Ready)
    assert (ready.resumed, ready.inner_step, ready.outer_step, ready.tokens) == (True, 12, 3, 12 * 64)
    second.daemon.send(NoMix(share=second.daemon.hear_a(Share).share))
    second.daemon.hear_out()
    assert second.ended()[0] == Exit.DONE
    assert second.saved(run).counters.inner_step == 16


def test_solo_in_a_process_is_solo_in_this_one(start):
    run = manifest("solo")
    process = start()
    process.begin(run, stop_at=10)
    process.daemon.hear_out()
    assert process.ended()[0] == Exit.DONE
    alone = replica(run)
    train(alone, 10)
    wanted, found = alone.contents(), process.saved(run)
    assert found.counters == wanted.counters
    assert all(torch.equal(found.weights[name], wanted.weights[name]) for name in wanted.weights)


def test_fifty_pauses_change_no_byte_of_what_is_learned(start):
    """Done-when 7 of the volunteer's pauses: each stops between two other steps, across boundaries too."""
    run = manifest("solo", every=4)
    undisturbed = start()
    undisturbed.begin(run, stop_at=60)
    undisturbed.daemon.hear_out()
    assert undisturbed.ended()[0] == Exit.DONE
    wanted = learned(undisturbed.home / "checkpoints" / "step-00000060")
    shutil.rmtree(undisturbed.home / "checkpoints")

    paused = start()
    paused.begin(run, stop_at=60)
    paused.daemon.send(Pause())
    for _ in range(49):
        paused.daemon.hear_a(Paused)
        paused.daemon.send(Resume(), Pause())
    paused.daemon.hear_a(Paused)
    paused.daemon.send(Resume())
    heard = paused.daemon.hear_out()
    assert paused.ended()[0] == Exit.DONE
    assert [said.inner_step for said in heard if isinstance(said, Paused)] == list(range(1, 51))
    assert heard[-1] == Finished(inner_step=60, reached_stop=True)
    assert learned(paused.home / "checkpoints" / "step-00000060") == wanted


def test_a_newcomer_begins_with_a_donors_capture_and_keeps_it(start):
    run = manifest(every=4, overlap=False)
    donor = start()
    donor.begin(run)
    donor.daemon.hear_a(Share)
    donor.daemon.send(Capture())
    captured = donor.daemon.hear_a(Captured)
    assert (donor.spool / captured.state.file).stat().st_size == captured.size
    donor.daemon.send(Finish())
    donor.daemon.hear_out()

    (donor.home / "checkpoints").rename(donor.home / "donor")
    newcomer = start()
    newcomer.begin(run, stop_at=5, shard=9, state=captured.state)
    assert newcomer.daemon.hear_a(Checkpointed).inner_step == 4
    assert newcomer.daemon.hear_a(Ready).inner_step == 4
    assert not (newcomer.spool / captured.state.file).exists()
    assert newcomer.daemon.hear_out()[-1] == Finished(inner_step=5, reached_stop=True)
    assert newcomer.saved(run).counters.own_steps == 1


def test_a_trainer_without_its_daemon_saves_and_leaves(start):
    run = manifest(every=4)
    process = start()
    process.begin(run)
    process.daemon.hear_a(Share)
    process.daemon.close()
    assert process.ended()[0] == Exit.DONE
    assert process.saved(run).counters.inner_step >= 4


def test_signals_are_left_to_the_daemon(start):
    process = start()
    process.begin(manifest(every=4))
    process.daemon.hear_a(Share)
    process.popen.send_signal(signal.SIGINT)
    process.popen.send_signal(signal.SIGTERM)
    process.daemon.hear_a(Share)
    process.daemon.send(Finish())
    assert isinstance(process.daemon.hear_out()[-1], Finished)
    assert process.ended()[0] == Exit.DONE


def failure(process: Process) -> Failed:
    """The trainer's last words, once they agree with its exit code and no traceback stands beside them."""
    last = process.daemon.hear_out()[-1]
    code, errors = process.ended()
    assert isinstance(last, Failed)
    assert last.code == code
    assert last.remedy
    assert "Traceback" not in errors
    return last


def test_missing_data_is_said(start):
    process = start()
    process.begin(msgspec.structs.replace(manifest(), data=Data(source="text", sha256=bytes(32))))
    assert failure(process).code == Exit.DATA_INVALID


def test_first_weights_and_a_batch_of_its_own(start):
    donor = replica(manifest("solo"))
    train(donor, 2)
    process = start()
    file = process.home / "weights.safetensors"
    save_file(dict(donor.net.named_parameters()), file)
    model = msgspec.structs.replace(manifest().model, sha256=hashlib.sha256(file.read_bytes()).digest())
    run = msgspec.structs.replace(manifest("solo"), model=model)
    process.begin(run, stop_at=2, weights_path=str(file), batch=3)
    process.daemon.hear_out()
    assert process.ended()[0] == Exit.DONE
    alone = Replica(run, work(run), torch.device("cpu"), batch=3)
    alone.begin(file)
    train(alone, 2)
    found = process.saved(run)
    assert found.counters.tokens == 2 * 3 * 32
    assert all(torch.equal(found.weights[name], wanted) for name, wanted in alone.contents().weights.items())


def test_first_weights_that_are_missing_are_said(start):
    process = start()
    model = msgspec.structs.replace(manifest().model, sha256=bytes(32))
    process.begin(msgspec.structs.replace(manifest(), model=model))
    assert "first weights" in failure(process).message


def test_a_run_that_diverges_is_said(start):
    process = start()
    file = process.home / "weights.safetensors"
    huge = {name: torch.full_like(each, 1e30) for name, each in replica().net.named_parameters()}
    save_file(huge, file)  # finite weights whose loss is not
    model = msgspec.structs.replace(manifest().model, sha256=hashlib.sha256(file.read_bytes()).digest())
    process.begin(msgspec.structs.replace(manifest(), model=model), weights_path=str(file))
    assert failure(process).code == Exit.TRAINER_FAILED


def test_a_device_that_is_not_there(start):
    process = start()
    process.begin(manifest(), device="toaster")
    assert failure(process).code == Exit.DEVICE_UNAVAILABLE


def test_another_failure_is_a_traceback_and_exit_code_1(start):
    process = start()
    process.begin(manifest(), batch=-1)
    process.daemon.hear_out()
    code, errors = process.ended()
    assert code == Exit.INTERNAL
    assert "Traceback" in errors


def test_a_last_checkpoint_that_the_disk_refuses_is_said(start):
    process = start()
    (process.home / "checkpoints").write_text("a file where the folder should be")
    process.begin(manifest("solo"), stop_at=2)
    assert failure(process).code == Exit.HOME_UNUSABLE


def test_hostile_donors_are_refused_until_one_is_of_use(start):
    process, run = start(), manifest("solo")
    count = replica(run).theta.numel()
    for values, tokens in (
        (torch.full((2 * count,), float("nan")), 0),
        (torch.zeros(2 * count), 2**60),
        (torch.zeros(2 * count + 1), 0),
        (torch.full((2 * count,), 1e30), 0),  # finite, and of no use
    ):
        (process.spool / "state").write_bytes(values.numpy().tobytes())
        process.begin(run, state=State(file="state", inner_step=0, outer_step=0, tokens=tokens))
        assert isinstance(process.daemon.hear(), StateRefused)
        assert not (process.spool / "state").exists()
    process.daemon.send(NoMix(share=1))  # meant for a trainer that has begun
    process.begin(run, stop_at=4)  # no donor is left: from the seed, untouched by what was refused
    assert not process.daemon.hear_a(Ready).resumed
    process.daemon.hear_out()
    assert process.ended()[0] == Exit.DONE
    alone = replica(run)
    train(alone, 4)
    found = process.saved(run).weights
    assert all(torch.equal(found[name], wanted) for name, wanted in alone.contents().weights.items())


@pytest.mark.parametrize("end", ["finish", "close"])
def test_a_trainer_whose_state_was_refused_can_be_ended(start, end):
    process = start()
    process.begin(manifest(), state=State(file="absent", inner_step=0, outer_step=0, tokens=0))
    process.daemon.hear_a(StateRefused)
    if end == "finish":
        process.daemon.send(Finish())
        assert process.daemon.hear() is None
    else:
        process.daemon.close()
    assert process.ended()[0] == Exit.DONE


LOADED_LATE = """
import sys
import peer.trainer.__main__ as program
from peer.trainer import session

late = []

def train(*arguments, train=session.train):
    before = set(sys.modules)
    train(*arguments)
    late.extend(name for name in set(sys.modules) - before if name.startswith("torch."))

session.train = train
program.main()
sys.exit(f"{len(late)} modules, such as {late[:5]}" if len(late) > 5 else 0)
"""


def test_torch_is_loaded_whole_before_the_orders_come(start):
    process = start(command=("-c", LOADED_LATE))
    process.begin(manifest("solo", every=4), stop_at=5)
    process.daemon.hear_out()
    assert process.ended() == (Exit.DONE, "")
