"""Swarms of real peers on this machine for benchmarks: started, watched by an oracle, killed, and ended."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.homes import Home
from benchmarks.liveness import Life, Sample
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
    """One folder, the process that runs in it now, if any, and its life."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.folder = folder / name
        self.life: Life | None = None
        self._home: Home | None = None

    def start(self, arguments: Sequence[str], now: float) -> Life:
        """Start the process, and a life."""
        self._home = Home(self.folder, "--announce-loopback", *arguments, listen="/ip4/127.0.0.1/tcp/0")
        self.life = Life(self.name, now, START)
        return self.life

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.life = None
        if self._home is not None:
            self._home.kill()

    def tell_to_leave(self) -> None:
        """Let it leave in order, with a checkpoint."""
        self.life = None
        if self._home is not None:
            self._home.tell_to_leave()

    def wait(self, limit: float = LEAVING) -> None:
        """Wait for its end."""
        if self._home is not None:
            self._home.wait(limit)

    def status(self) -> Status | None:
        """Ask it how it is; None where it does not answer."""
        return self._home.status() if self._home is not None else None

    def look(self, now: float) -> None:
        """Let the oracle see how it is."""
        if self.life is None or self._home is None:
            return
        if (code := self._home.exit_code) is not None:
            self.life.ended(code)
            return
        sample = self._sample(self._home, now)
        if sample is None:
            self.life.look(now)
        else:
            self.life.see(sample)

    @staticmethod
    def _sample(home: Home, now: float) -> Sample | None:
        status = home.status()
        if status is None or status.pid != home.pid:
            return None
        with suppress(psutil.Error, OSError):
            deadline = home.metric("murmuration_exchange_deadline_seconds")
            if not deadline:
                return None
            processes = [psutil.Process(pid) for pid in (status.pid, status.trainer_pid) if pid is not None]
            return Sample(
                seconds=now,
                inner_step=status.inner_step if status.state == "training" else 0,
                exchanges=status.exchanges,
                deadline=deadline,
                memory=sum(process.memory_info().rss for process in processes),
                files=sum(process.num_fds() for process in processes),
            )
        return None


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
        raise SystemExit(f"{peer.name} does not listen; its log is in {peer.folder}")

    def stop(self) -> None:
        """End every peer in order."""
        for peer in self.peers:
            peer.tell_to_leave()
        for peer in self.peers:
            peer.wait()

    def checkpoints(self) -> list[Path]:
        """Return each peer's last checkpoint."""
        return [max((peer.folder / "checkpoints").glob("step-*")) for peer in self.peers]


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
