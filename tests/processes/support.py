"""Real peer processes for tests: started, watched through their own event log, and always ended."""

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peer.daemon.limits_file import write_given

PATIENCE = 120.0
"""Seconds to wait for any one event: more than it takes on a machine that has much else to do."""


def small_run(every: int = 50, preset: str = "gossip") -> str:
    """Return a run file of some 18 k parameters: 50 steps take about a second beside three other peers."""
    return f"""
codecs = ["int8"]
[model]
layers = 1
width = 32
heads = 2
hidden = 64
context = 32
[inner]
batch = 4
steps = 100000
warmup = 20
[outer]
every = {every}
preset = "{preset}"
"""


SMALL_RUN = small_run()


class PeerProcess:
    """One `peer start`, whose events arrive in a queue as it logs them."""

    def __init__(
        self, home: Path, *arguments: str, inside: Sequence[str] = (), listen: str = "/ip4/127.0.0.1/tcp/0"
    ) -> None:
        """Start it, with `inside` before its command: what brings it to another network."""
        self.home, self.inside = home, list(inside)
        command = [*inside, sys.executable, "-m", "peer", "start", "--home", str(home)]
        command += ["--log-format", "json", "--listen", listen, "--metrics-port", "0", "--stop-on-eof"]
        command += arguments
        self.process: Any = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.events: list[dict[str, Any]] = []
        self.said: list[str] = []
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr:
            try:
                self._queue.put(json.loads(line))
            except ValueError:
                self.said.append(line.rstrip())
        self._queue.put(None)

    def wait_for(
        self, event: str, check: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> dict[str, Any]:
        """Return the next such event, from now on."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                told = self._queue.get(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                raise AssertionError(f"no {event!r} in {PATIENCE} s; heard {self.events[-5:]}") from None
            if told is None:
                raise AssertionError(f"ended before {event!r}; heard {self.events[-5:]}, said {self.said}")
            self.events.append(told)
            if told["event"] == event and check(told):
                return told

    def drain(self) -> list[dict[str, Any]]:
        """Take in what has arrived, and return every event so far."""
        while True:
            try:
                told = self._queue.get_nowait()
            except queue.Empty:
                return self.events
            if told is not None:
                self.events.append(told)

    @property
    def address(self) -> str:
        """The peer's address, from the line that it prints for the next to type."""
        line: str = self.process.stdout.readline()
        assert line.startswith("peer start --bootstrap "), line
        return line.rpartition(" ")[2].strip()

    def status(self) -> Any:
        """What `peer status --json` says."""
        done = subprocess.run(
            [sys.executable, "-m", "peer", "status", "--home", str(self.home), "--json"],
            capture_output=True, text=True, check=True, timeout=PATIENCE,
        )  # fmt: skip
        return json.loads(done.stdout)

    def end(self, number: int) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end and return the exit code."""
        code: int = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        return code


class Family:
    """The processes of one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_file = folder / "run.toml"
        self.run_file.write_text(SMALL_RUN)
        self.members: list[PeerProcess] = []

    def start(self, name: str, *arguments: str) -> PeerProcess:
        """Start a peer whose home is named `name`."""
        home = self.folder / name
        if not home.exists():
            # Whoever runs the tests may be on battery.
            write_given(home, {"pause_for_others": False, "pause_on_battery": False})
        peer = PeerProcess(home, *arguments)
        self.members.append(peer)
        return peer

    def found(self, name: str, *arguments: str) -> PeerProcess:
        """Start a peer that founds the small run."""
        return self.start(name, "--run", str(self.run_file), *arguments)

    def swarm(self, count: int, *arguments: str) -> list[PeerProcess]:
        """Start so many peers of the small run, the first of which founds it."""
        first = self.found("peer-0", *arguments)
        join = ("--bootstrap", first.address)
        return [first, *(self.start(f"peer-{number}", *join, *arguments) for number in range(1, count))]

    def leave(self) -> list[int]:
        """Tell all who still run to leave, at once, and return their exit codes."""
        staying = [peer for peer in self.members if peer.process.poll() is None]
        for peer in staying:
            peer.process.send_signal(signal.SIGTERM)
        return [peer.wait() for peer in staying]


@contextmanager
def family(folder: Path) -> Iterator[Family]:
    """Leave no process behind, and where a test fails say how each stood."""
    made = Family(folder)
    try:
        yield made
    except BaseException:
        for peer in made.members:
            print(peer.home, peer.process.poll(), peer.said, *peer.drain()[-5:], sep="\n")
        raise
    finally:
        for peer in made.members:
            if peer.process.poll() is None:
                peer.process.kill()
                peer.wait()
