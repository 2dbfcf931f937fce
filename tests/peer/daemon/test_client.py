"""The caller's side of the control socket: whatever a daemon does not answer ends in one clear error."""

import signal
import socket
import subprocess
import sys

import pytest

from peer.daemon import client
from peer.daemon.client import ControlClient
from peer.errors import Exit, NotRunningError
from protocol.codec import encode
from protocol.control import MAX_CONTROL, Stopping
from protocol.frames import frame
from tests.peer.daemon.controls import DETAIL, STATUS, saying, serving, socket_folder

DAEMON = """
import sys
from pathlib import Path
import trio
import trio.testing
from peer.daemon.control import Commands, ControlServer
from protocol.codec import decode
from protocol.control import Status

async def main():
    status = decode(bytes.fromhex(sys.argv[2]), Status, 65536)
    asked = trio.Event()
    commands = Commands(
        status=lambda: status,
        detail=lambda: None,
        stop=asked.set,
        finish=asked.set,
        pause=lambda _: None,
        resume=lambda: None,
    )
    server = ControlServer(Path(sys.argv[1]), commands)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await server.serving.wait()
        print("serving", flush=True)
        await asked.wait()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

trio.run(main)
print("cleaning up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path():
    with socket_folder() as folder:
        yield folder / "control.sock"


def test_one_connection_serves_several_calls(path):
    with serving(path), ControlClient(path) as caller:
        assert caller.status() == STATUS
        assert caller.status() == STATUS


def test_the_detail_comes_over_the_same_connection(path):
    with serving(path), ControlClient(path) as caller:
        assert caller.detail() == DETAIL
        assert caller.status() == STATUS


def test_a_pause_its_end_and_a_finish_are_passed_on(path):
    asked = []
    with serving(path, asked=asked.append), ControlClient(path) as caller:
        assert caller.pause("rendering") == STATUS
        assert caller.resume() == STATUS
        assert caller.finish() == STATUS.pid
    assert asked == ["pause 'rendering'", "resume", "finish"]


def test_stop_returns_who_ends(path):
    asked = []
    with serving(path, stop=lambda: asked.append("stop")), ControlClient(path) as caller:
        assert caller.stop() == STATUS.pid
    assert asked == ["stop"]


def _nobody(path):
    """No socket was ever made."""


def _dead(path):
    """A killed daemon left its socket."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize("left", [_nobody, _dead])
def test_where_nobody_listens_the_error_says_how_to_start_one(path, left):
    left(path)
    with pytest.raises(NotRunningError, match="peer start") as caught, ControlClient(path):
        pass
    assert caught.value.code == Exit.NOT_RUNNING


def test_a_path_too_long_for_a_socket_is_nobody_too(path):
    with pytest.raises(NotRunningError), ControlClient(path.parent / ("x" * 200)):
        pass


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(b"", "it hung up", id="nothing"),
        pytest.param(frame(encode(STATUS), MAX_CONTROL)[:20], "it hung up", id="half an answer"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", "at most 65536 are allowed", id="another protocol"),
        pytest.param(frame(b"\xff\xff", MAX_CONTROL), "not of its schema", id="no message"),
        pytest.param(frame(encode(Stopping(pid=1)), MAX_CONTROL), "something else", id="another answer"),
    ],
)
def test_an_answer_that_makes_no_sense_is_a_daemon_that_does_not_answer(path, said, reason):
    with saying(path, said), ControlClient(path) as caller, pytest.raises(NotRunningError, match=reason):
        caller.status()


def test_a_daemon_that_hangs_is_not_waited_for_for_ever(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with ControlClient(path, 0.05) as caller, pytest.raises(NotRunningError, match="timed out"):
            caller.status()


def test_a_daemon_that_does_not_end_is_named(path, monkeypatch):
    monkeypatch.setattr(client, "LEAVING", 0.05)
    with serving(path), ControlClient(path) as caller:
        caller.stop()
        with pytest.raises(NotRunningError, match=r"has not ended after 0\.05 s"):
            caller.wait_until_gone()


@pytest.fixture
def daemon(path):
    """A process that serves, and at the end has some cleaning up to do until its input ends."""
    command = [sys.executable, "-c", DAEMON, str(path), encode(STATUS).hex()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "serving\n"
        yield process
        process.kill()


def test_a_daemon_is_gone_when_its_process_is_and_not_before(path, daemon):
    with ControlClient(path) as caller:
        caller.stop()
        assert daemon.stdout.readline() == "cleaning up\n"
        caller._socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            caller._socket.recv(1)
        daemon.stdin.close()
        caller.wait_until_gone()
        assert daemon.wait(10) == 0


def test_a_daemon_that_is_killed_is_gone_as_well(path, daemon):
    with ControlClient(path) as caller:
        # A call that it never comes to read makes the kernel reset the connection.
        daemon.send_signal(signal.SIGSTOP)
        caller._socket.sendall(b"x")
        daemon.kill()
        caller.wait_until_gone()
