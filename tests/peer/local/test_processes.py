"""Starting, asking and ending peer processes, with small scripts in the peers' place."""

import os
import signal
from contextlib import ExitStack

import pytest

from peer.daemon.last_status import write_last_status
from peer.errors import Exit, SwarmError
from peer.local import processes
from peer.local.processes import LocalSwarm
from tests.peer.daemon.controls import STATUS, serving, socket_folder, status
from tests.peer.local.fake_peer import ENDS, FAILS, STUBBORN, WAITS, install, wait_until_ready


@pytest.fixture
def swarm(tmp_path):
    swarm = LocalSwarm(tmp_path / "swarm")
    yield swarm
    for peer in swarm.peers:
        peer.signal(signal.SIGKILL)
    swarm.stop()


@pytest.fixture
def behave(tmp_path, monkeypatch):
    return lambda behaviour: install(tmp_path, monkeypatch, behaviour)


@pytest.fixture
def answering():
    """Let a peer's control socket answer; the statuses are those that the test appends."""
    with ExitStack() as stack:

        def answering(peer, statuses):
            folder = stack.enter_context(socket_folder())
            (peer.home / "runtime").write_bytes(os.fsencode(folder))
            stack.enter_context(serving(folder / "control.sock", lambda: statuses[-1]))

        yield answering


def test_each_peer_gets_a_home_a_log_and_its_arguments(swarm, behave, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    behave(ENDS)
    for index in range(2):
        peer = swarm.start(index, ["--steps", "3"])
        assert peer.process.wait(30) == 0
        assert peer.name == f"peer-{index}"
        assert peer.home == tmp_path / "swarm" / f"peer-{index}"
        assert peer.log.read_text().strip() == (
            f"started with -P -m peer start --home {peer.home} --listen /ip4/127.0.0.1/tcp/0 "
            "--metrics-port 0 --stop-on-eof --steps 3 threads 1"
        )


def test_a_person_may_say_how_many_threads_each_peer_uses(swarm, behave, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    behave(ENDS)
    peer = swarm.start(0, [])
    peer.process.wait(30)
    assert peer.log.read_text().endswith("threads 5\n")


@pytest.mark.parametrize(("given", "seen"), [(None, "0"), ("2,3", "2"), ("", "")])
def test_peers_of_one_swarm_see_one_gpu(swarm, behave, monkeypatch, given, seen):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    behave("import os; print(os.environ['CUDA_VISIBLE_DEVICES'])")
    peer = swarm.start(0, [])
    peer.process.wait(30)
    assert peer.log.read_text().splitlines()[1:] == [seen]


def test_ctrl_c_in_the_terminal_does_not_reach_the_peers(swarm, behave):
    behave(WAITS)
    assert os.getpgid(swarm.start(0, []).process.pid) != os.getpgid(0)


def test_peers_learn_from_their_input_that_we_are_gone(swarm, behave):
    behave(WAITS)
    peer = swarm.start(0, [])
    peer.process.stdin.close()
    assert peer.process.wait(30) == 0
    assert peer.log.read_text().endswith("nobody is left\n")


# ---- how they are


def test_a_running_peer_is_asked_and_what_it_said_is_kept(swarm, behave, answering):
    behave(WAITS)
    peer = swarm.start(0, [])
    swarm.refresh()
    assert peer.status is None
    statuses = [status(inner_step=1)]
    answering(peer, statuses)
    swarm.refresh()
    assert peer.status == statuses[0]
    statuses.append(status(inner_step=2))
    swarm.refresh()
    assert peer.status == statuses[1]
    (peer.home / "runtime").unlink()
    swarm.refresh()
    assert peer.status == statuses[1]


def test_an_ended_peer_is_known_by_its_last_word(swarm, behave):
    behave(ENDS)
    peer = swarm.start(0, [])
    peer.process.wait(30)
    swarm.refresh()
    assert peer.status is None
    write_last_status(peer.home, STATUS)
    swarm.refresh()
    assert peer.status == STATUS
    (peer.home / "status.json").unlink()
    swarm.refresh()
    assert peer.status == STATUS


def test_the_address_of_a_peer_is_its_first(swarm, behave, answering):
    behave(WAITS)
    peer = swarm.start(0, [])
    answering(peer, [STATUS])
    assert swarm.address_of(peer) == STATUS.addresses[0]


def test_a_peer_that_ends_before_it_listens_is_an_error_with_its_last_words(swarm, behave):
    behave(FAILS)
    peer = swarm.start(0, [])
    with pytest.raises(SwarmError) as caught:
        swarm.address_of(peer)
    assert caught.value.code == Exit.SWARM_FAILED
    assert "peer-0 ended with code 41. It said: peer: the device is not there. Use another" in str(
        caught.value
    )
    assert str(peer.log) in str(caught.value)


def test_a_peer_that_never_listens_is_not_waited_for_for_ever(swarm, behave, monkeypatch):
    monkeypatch.setattr(processes, "START_DEADLINE", 0.05)
    behave(WAITS)
    peer = swarm.start(0, [])
    with pytest.raises(SwarmError, match=r"peer-0 does not listen after 0\.05 s"):
        swarm.address_of(peer)


def test_a_peer_that_said_nothing_is_reported_as_well(swarm, behave):
    behave(ENDS)
    peer = swarm.start(0, [])
    peer.process.wait(30)
    peer.log.write_bytes(b"\xff\xfe\n\n")
    assert "It said: \ufffd\ufffd." in str(swarm.failure(peer))
    peer.log.write_bytes(b"")
    assert "It said: nothing." in str(swarm.failure(peer))


# ---- their end


def test_those_who_are_asked_end_by_themselves(swarm, behave, tmp_path):
    behave(WAITS)
    peers = [swarm.start(index, []) for index in range(3)]
    for peer in peers:
        wait_until_ready(tmp_path, peer.name)
    swarm.stop()
    assert [peer.process.returncode for peer in peers] == [0] * 3
    assert all(peer.process.stdin.closed for peer in peers)


def test_those_who_do_not_are_ended(swarm, behave, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "STOP_DEADLINE", 0.05)
    behave(STUBBORN)
    peers = [swarm.start(index, []) for index in range(2)]
    for peer in peers:
        wait_until_ready(tmp_path, peer.name)
    swarm.stop()
    assert [peer.process.returncode for peer in peers] == [-signal.SIGKILL] * 2


def test_stopping_twice_or_nobody_is_no_harm(swarm, behave):
    swarm.stop()
    behave(ENDS)
    peer = swarm.start(0, [])
    peer.process.wait(30)
    swarm.stop()
    swarm.stop()
    assert peer.process.returncode == 0
