"""Real peer processes on this machine for benchmarks: started, looked at, killed, and always ended."""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.liveness import Life, Sample
from peer.daemon.client import ControlClient
from peer.daemon.runtime import control_socket
from peer.errors import NotRunningError
from protocol.control import Status

RUN = """
[model]
layers = 2
width = 64
heads = 2
hidden = 128
context = 64
[inner]
batch = 8
steps = 100000
warmup = 50
[outer]
every = 20
"""
"""Some 90 k parameters: eight trainers share two cores."""

START = 300.0
"""Seconds until every peer trains for the first time, and that each has for it when it returns."""

LEAVING = 60.0
"""Seconds in which a peer that is told to leave must be gone, though all leave at once."""

LOOK = 1.0
"""Seconds between two samples."""


class Peer:
    """One home, and the process that runs it now, if any."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.home = folder / name
        self.life: Life | None = None
        self._metrics: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, arguments: Sequence[str], now: float) -> Life:
        """Start the process, and a life."""
        command = [
            *(sys.executable, "-m", "peer", "start", "--home", str(self.home), "--announce-loopback"),
            *("--listen", "/ip4/127.0.0.1/tcp/0", "--metrics-port", "0", "--stop-on-eof", *arguments),
        ]
        self.home.mkdir(exist_ok=True)
        with (self.home / "daemon.log").open("ab") as log:
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=log, stderr=log, env=environment)
        self._metrics = None
        self.life = Life(self.name, now, START)
        return self.life

    def kill(self) -> None:
        """End the process as a power cut would, and wait for its trainer, which writes a checkpoint."""
        if self._process is not None:
            with suppress(psutil.NoSuchProcess):
                trainers = psutil.Process(self._process.pid).children(recursive=True)
                self._process.kill()
                psutil.wait_procs(trainers, LEAVING)
            self._reap(30)
        self.life = None

    def tell_to_leave(self) -> None:
        """Let it leave in order, with a checkpoint."""
        if self._process is not None:
            self._process.terminate()
        self.life = None

    def wait_until_gone(self) -> None:
        """Wait until it has left."""
        try:
            self._reap(LEAVING)
        except subprocess.TimeoutExpired as error:
            words = (self.home / "daemon.log").read_text().splitlines()[-3:]
            raise SystemExit(f"{self.name} has not left after {LEAVING:g} s; it said {words}") from error

    def wait(self, limit: float) -> int:
        """Wait for its own end and return its exit code."""
        if self._process is None:
            raise RuntimeError("it does not run")
        code = self._process.wait(limit)
        self._reap(1)
        return code

    def _reap(self, limit: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(limit)
        finally:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()

    def status(self) -> Status | None:
        """Ask it how it is; None where it does not answer."""
        with suppress(NotRunningError), ControlClient(control_socket(self.home)) as client:
            return client.status()
        return None

    def look(self, now: float) -> None:
        """Let the oracle see how it is."""
        if self.life is None or self._process is None:
            return
        if (code := self._process.poll()) is not None:
            self.life.ended(code)
            return
        sample = self._sample(now)
        if sample is None:
            self.life.look(now)
        else:
            self.life.see(sample)

    def _sample(self, now: float) -> Sample | None:
        status = self.status()
        if (
            status is None
            or self._process is None
            or status.metrics is None
            or status.pid != self._process.pid
        ):
            return None
        with suppress(psutil.Error, OSError):
            processes = [psutil.Process(pid) for pid in (status.pid, status.trainer_pid) if pid is not None]
            return Sample(
                seconds=now,
                inner_step=status.inner_step if status.state == "training" else 0,
                exchanges=status.exchanges,
                deadline=_deadline(status.metrics),
                memory=sum(process.memory_info().rss for process in processes),
                files=sum(process.num_fds() for process in processes),
            )
        return None


def _deadline(url: str) -> float:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - the daemon's own, on loopback
        for family in text_string_to_metric_families(answer.read().decode()):
            if family.name == "murmuration_exchange_deadline_seconds":
                return float(family.samples[0].value)
    raise OSError("the metrics do not tell the exchange deadline")


class Swarm:
    """The peers of one run."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.peers = [Peer(folder, f"peer-{number}") for number in range(count)]
        self.began = time.monotonic()

    @property
    def now(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    def start(self, *arguments: str) -> list[Life]:
        """Start every peer and wait until all train."""
        run_file = self.folder / "run.toml"
        run_file.write_text(RUN)
        founder, *others = self.peers
        lives = [founder.start(["--run", str(run_file), *arguments], self.now)]
        address = self._address(founder)
        lives += [peer.start(["--bootstrap", address, *arguments], self.now) for peer in others]
        while not all((status := peer.status()) is not None and status.inner_step for peer in self.peers):
            if self.now > START:
                raise SystemExit(f"not every peer trains after {START:g} s; their logs are in {self.folder}")
            time.sleep(LOOK)
        return lives

    def address(self) -> str:
        """Return where one of the peers that run can be dialled."""
        return next(found for peer in self.peers if peer.life and (found := self._address(peer)))

    def _address(self, peer: Peer) -> str:
        while self.now < START or peer.status() is not None:
            status = peer.status()
            if status is not None and status.addresses:
                return status.addresses[0]
            time.sleep(0.1)
        raise SystemExit(f"{peer.name} does not listen; its log is in {peer.home}")

    def stop(self) -> None:
        """End every peer in order."""
        for peer in self.peers:
            peer.tell_to_leave()
        for peer in self.peers:
            peer.wait_until_gone()

    def checkpoints(self) -> list[Path]:
        """Return each peer's last checkpoint."""
        return [max((peer.home / "checkpoints").glob("step-*")) for peer in self.peers]


@contextmanager
def swarm(count: int) -> Iterator[Swarm]:
    """Leave no process behind."""
    with tempfile.TemporaryDirectory() as folder:
        made = Swarm(Path(folder), count)
        try:
            yield made
        finally:
            for peer in made.peers:
                peer.kill()
