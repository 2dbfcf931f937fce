"""A peer that a program runs: a small script stands in the daemon's place, and a control socket here."""

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from pathlib import Path

import pytest

from peer import Peer, PeerError, Run
from peer.daemon import client
from peer.daemon.last_status import write_last_status
from peer.daemon.limits_file import read_given
from peer.errors import DeviceError, Exit, HomeError, LimitsError, ListenError, NotRunningError, UsageError
from peer.local import processes
from peer.telemetry.event_file import EventFile
from peer.telemetry.events import Alone, Joined, Stopped
from protocol.control import Pause
from tests.peer.daemon.controls import DETAIL, serving, socket_folder, status
from tests.peer.local.fake_peer import ENDS, FAILS, WAITS, install, wait_until_ready

ROOT = Path(__file__).parents[3]

TOLD = """
print("peer start --bootstrap somewhere")
print('{"type": "failed", "code": 41, "message": "no cuda here", "remedy": "Take the cpu"}')
sys.exit(41)
"""

READS = """
if "--run" in " ".join(arguments):
    (path,) = (each.partition("=")[2] for each in arguments if each.startswith("--run="))
    print(open(path).read(), end="", file=sys.stderr)
"""


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch):
    """The socket in the test never hangs up, as the kernel does for a daemon that has ended."""
    monkeypatch.setattr(client, "LEAVING", 0.01)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "homes" / "peer-0"


@pytest.fixture
def behave(tmp_path, monkeypatch):
    return lambda behaviour: install(tmp_path, monkeypatch, behaviour)


@pytest.fixture
def answering(home):
    """Let the control socket of a peer's home answer in the name of its process, with what is changed."""
    home.mkdir(parents=True)
    with ExitStack() as stack:

        def answering(peer, asked=lambda _: None, **changes):
            folder = stack.enter_context(socket_folder())
            (home / "runtime").write_bytes(os.fsencode(folder))

            def tell():
                return status(**{"pid": peer._child._process.process.pid} | changes)

            stack.enter_context(serving(folder / "control.sock", tell, lambda: asked("stop"), asked=asked))

        yield answering


@pytest.fixture
def peer(home, behave, answering, tmp_path):
    """A peer that was started and answers."""
    behave(WAITS)
    peer = Peer(home=home, threads=1)
    answering(peer)
    peer.start()
    wait_until_ready(tmp_path, home.name)
    yield peer
    peer.stop()


# ---- its start


def test_it_is_the_command_with_its_options(home, behave):
    behave("print('started with', *arguments, file=sys.stderr)\n" + READS)
    run = Run(name="mine")
    with Peer(run, home=home, bootstrap="/ip4/1", threads=1, steps=5, listen=("/a", "/b")) as peer:
        log = (home / "daemon.log").read_text()
    assert log.startswith(f"started with -P -m peer.cli.embedded start --home {home} --run=/")
    assert "run.toml --bootstrap=/ip4/1 --steps=5 --listen=/a --listen=/b --stop-on-eof\n" in log
    assert log.endswith(run.toml)
    assert not peer.running


def test_a_start_returns_once_it_answers_in_its_own_name(home, behave, answering):
    behave(ENDS)
    other = Peer(home=home, threads=1)
    answering(other, pid=os.getpid())
    other.start()
    assert not other.running, "only the end of the process let this go on"


@pytest.mark.parametrize(
    ("behaviour", "kind", "said"),
    [
        (TOLD, DeviceError, "no cuda here. Take the cpu"),
        (FAILS, PeerError, "ended with code 41. Its log is .*daemon.log"),
        ("os.kill(os.getpid(), signal.SIGKILL)", PeerError, "ended with signal 9. Its log is"),
    ],
)
def test_what_keeps_it_from_starting_is_raised_as_its_own_kind(home, behave, behaviour, kind, said):
    behave(behaviour)
    peer = Peer(home=home, threads=1)
    with pytest.raises(kind, match=said) as caught:
        peer.start()
    assert type(caught.value) is kind
    assert not peer.running


def test_a_home_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="Not a directory"):
        Peer(home=tmp_path / "file" / "home").start()


def test_a_home_of_nobody_known_is_told():
    with pytest.raises(HomeError, match="Cannot tell where ~nobody-of-this-name/x is"):
        Peer(home="~nobody-of-this-name/x")


def test_a_new_home_pauses_for_nothing_and_one_that_exists_keeps_its_limits(home, behave):
    behave(ENDS)
    Peer(home=home, threads=1).start().stop()
    assert read_given(home) == {"pause_for_others": False, "pause_on_battery": False}
    Peer(home=home, threads=1, limits={"pause_on_battery": True, "upload": "10Mbit"}).start().stop()
    kept = {"pause_for_others": False, "pause_on_battery": True, "upload": "10Mbit"}
    assert read_given(home) == kept
    Peer(home=home, threads=1).start().stop()
    assert read_given(home) == kept
    with pytest.raises(LimitsError, match="there is no limit 'uplaod'"):
        Peer(home=home, limits={"uplaod": "10Mbit"}).start()


def test_the_threads_that_a_program_asks_for_are_those_that_it_gets(home, behave, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    behave("print('threads', os.environ['OMP_NUM_THREADS'], file=sys.stderr)")
    Peer(home=home, threads=1).start().stop()
    Peer(home=home).start().stop()
    assert (home / "daemon.log").read_text() == "threads 1\nthreads 5\n"


def test_a_peer_that_was_not_started_says_so(home):
    peer = Peer(home=home, threads=1)
    peer.stop()
    for ask in (peer.status, peer.statistics, peer.pause, peer.resume, peer.finish, peer.wait):
        with pytest.raises(NotRunningError, match=r"was not started\. Call start\(\)"):
            ask()
    assert "not running" in repr(peer)


def test_the_real_command_says_what_is_wrong_with_an_option(home):
    with pytest.raises(UsageError, match=r"--steps.*\. See `peer start --help`") as caught:
        Peer(home=home, steps=0).start()
    assert caught.value.code == Exit.USAGE


# ---- what it says, and is told


def test_a_running_peer_is_asked(peer):
    assert peer.start() is peer
    assert peer.status().inner_step == 120
    assert peer.statistics() == DETAIL
    assert peer.joining_command == f"peer start --bootstrap {peer.address}"
    assert peer.address.startswith("/ip4/192.0.2.7/")


def test_a_peer_without_an_address_says_how_to_get_one(home, behave, answering):
    behave(WAITS)
    peer = Peer(home=home, threads=1)
    answering(peer, addresses=())
    with pytest.raises(ListenError, match=r'listen="/ip4/127\.0\.0\.1/tcp/0"'), peer:
        _ = peer.address


def test_what_it_is_told_is_passed_on(home, behave, answering):
    behave(WAITS)
    peer, asked = Peer(home=home, threads=1), []
    answering(peer, asked.append)
    peer.start()
    assert peer.pause("lunch").state == "training"
    peer.resume()
    assert asked == ["pause 'lunch'", "resume"]
    peer._child.end()
    assert not peer.running


@pytest.mark.parametrize("wanted", [{"step": 120}, {"tokens": 122_880}, {"step": 1, "tokens": 1}])
def test_what_is_reached_is_not_waited_for(peer, wanted):
    assert peer.wait(**wanted).inner_step == 120


def test_waiting_ends_in_time(peer):
    with pytest.raises(TimeoutError, match="inner step 120 after 0 s"):
        peer.wait(step=121, timeout=0)
    with pytest.raises(TimeoutError):
        peer.wait(timeout=0)


def test_who_waits_in_vain_is_told_of_the_pause(home, behave, answering):
    behave(WAITS)
    peer = Peer(home=home, threads=1)
    answering(peer, pause=Pause(kind="battery", reason="on battery", since=0.0))
    with peer, pytest.raises(TimeoutError, match="after 0 s: paused: on battery"):
        peer.wait(step=121, timeout=0)


def test_who_ends_before_is_waited_for_no_more(peer, home):
    write_last_status(home, status(pid=peer._child._process.process.pid, inner_step=110, state="finished"))
    peer._child._process.signal(signal.SIGTERM)
    peer._child._process.process.wait(30)
    assert peer.wait().state == "finished"
    assert peer.wait(step=110).inner_step == 110
    with pytest.raises(NotRunningError, match="ended at inner step 110, which is before"):
        peer.wait(step=111)


def test_a_failure_while_it_trains_is_raised_by_who_asks_next(home, behave, answering):
    behave("sys.stdin.readline()\n" + TOLD)
    peer = Peer(home=home, threads=1)
    answering(peer)
    peer.start()
    peer._child._process.process.stdin.write(b"\n")
    peer._child._process.process.stdin.flush()
    peer._child._process.process.wait(30)
    for ask in (peer.status, peer.statistics, peer.wait, peer.pause, lambda: peer.address):
        with pytest.raises(DeviceError, match="no cuda here"):
            ask()
    peer.stop()


def test_the_last_word_of_an_earlier_life_is_not_taken_for_this_ones(home, behave):
    behave(ENDS)
    home.mkdir(parents=True)
    write_last_status(home, status(pid=1))
    with pytest.raises(NotRunningError, match="ended before it began to train"):
        Peer(home=home, threads=1).start().status()


# ---- events


def test_events_are_chosen_by_kind_and_time(peer, home):
    began = peer._child.began
    with EventFile(home / "events.log") as file:
        file.append(Alone(time=began - 10))
        file.append(Joined(time=began + 1, run_id="00", run_name="tiny", preset="solo"))
        file.append(Alone(time=began + 2))
    assert [type(event) for event in peer.events()] == [Joined, Alone]
    assert [event.time - began for event in peer.events(Alone)] == [2]
    assert len(list(peer.events(Alone, Joined, since=0))) == 3


def test_events_of_the_older_file_are_told_to_who_follows_as_well(peer, home):
    with EventFile(home / "events.log", max_size=1) as file:
        file.append(Alone(time=1.0))
        file.append(Joined(time=2.0, run_id="00", run_name="tiny", preset="solo"))
    following = peer.events(since=0, follow=True)
    assert [next(following).time, next(following).time] == [1.0, 2.0]


def test_events_are_followed_to_the_end_of_the_peer(peer, home):
    with EventFile(home / "events.log") as file:
        file.append(Alone())
        following = peer.events(follow=True)
        assert isinstance(next(following), Alone)
        file.append(Stopped(reason="asked to", inner_step=3))
        peer._child._process.signal(signal.SIGTERM)
        assert [type(event) for event in following] == [Stopped]


# ---- its end


def test_a_block_ends_it_and_so_does_what_is_raised_in_it(home, behave, answering):
    behave(WAITS)
    peer, asked = Peer(home=home, threads=1), []
    answering(peer, asked.append)
    with pytest.raises(ZeroDivisionError), peer:
        _ = 1 / (not peer.running)
    assert (peer.running, asked) == (False, ["stop"])
    peer.stop()


def test_a_daemon_that_does_not_end_is_ended(home, behave, answering, monkeypatch):
    monkeypatch.setattr(processes, "STOP_DEADLINE", 0.05)
    behave("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()")
    peer = Peer(home=home, threads=1)
    answering(peer)
    peer.start().stop()
    assert not peer.running


def test_a_peer_that_nobody_holds_any_more_ends(peer):
    process = peer._child._process.process
    peer._child = None
    assert process.returncode == 0


PROGRAM = """
import os, signal, sys
from peer import Peer
from peer.api.child import Child
sys.executable = {python!r}
Child.wait_until_it_answers = lambda self: None
peer = Peer(home={home!r}, threads=1).start()
with open({fifo!r}, "rb", buffering=0) as pipe:
    pipe.read(5)
{end}
"""


FORKS = """
if os.fork() == 0:
    sys.exit()
os.wait()
assert peer.running
"""


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("", 0, ""),
        ("raise KeyError", 1, ""),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, "nobody is left\n"),
        (FORKS, 0, ""),
    ],
    ids=["ends", "raises", "is killed", "forks"],
)
def test_a_program_that_ends_takes_its_peers_with_it(tmp_path, home, behave, how, code, said):
    python = sys.executable
    ended = "import atexit\natexit.register(lambda: print('ended', file=sys.stderr))\n"
    behave(ended + WAITS.replace('is left")', 'is left", file=sys.stderr)'))
    program = PROGRAM.format(python=sys.executable, home=str(home), fifo=str(tmp_path / home.name), end=how)
    done = subprocess.run(
        [python, "-c", textwrap.dedent(program)], cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    # The daemon holds the program's standard error no longer than it lives.
    log = home / "daemon.log"
    while not log.read_text().endswith("ended\n"):
        os.sched_yield()
    assert log.read_text() == said + "ended\n"
