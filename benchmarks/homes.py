"""Real peers with homes for benchmarks: what each says of itself, by its socket and by its log."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.overhead import RunningPeer
from peer.daemon.client import ControlClient
from peer.daemon.runtime import control_socket
from peer.errors import NotRunningError
from protocol.control import Status

PATIENCE = 120.0
"""Seconds that a peer has until it joins, and then until it trains, and in which it has to leave."""


class Home:
    """One peer and what it says of itself."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        listen: str,
        nice: bool = False,
        core: int | None = None,
        module: str = "peer",
    ) -> None:
        """Start it; `nice` at the lowest priority, on one `core` alone, `module` with another program."""
        self.folder = folder
        command = [
            sys.executable,
            "-m",
            module,
            "start",
            "--home",
            str(folder),
            "--metrics-port",
            "0",
            "--stop-on-eof",
        ]
        command += ["--listen", listen, "--no-upnp", *arguments]
        folder.mkdir(exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(["taskset", "-c", str(core)] if core is not None else []),
                    *(["nice", "-n", "19"] if nice else []),
                    *command,
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        self._nice = nice
        self.running = RunningPeer(folder, psutil.Process(self._process.pid))

    def status(self) -> Status | None:
        """Return how it is; None while it does not answer."""
        with suppress(NotRunningError), ControlClient(control_socket(self.folder)) as client:
            return client.status()
        return None

    def until(self, what: str, patience: float = PATIENCE) -> Status:
        """Wait until it trains, or joins."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            status = self.status()
            if status is not None and status.state == what and (what != "training" or status.tokens):
                if self._nice:
                    self._yield_to_others()
                return status
            time.sleep(0.05)
        raise SystemExit(f"{self.folder.name} was not {what} in {patience:g} s")

    def spread(self, training: int, others: int) -> None:
        """Give its training loop one core; another to its daemon, and to what is done beside training."""
        for process in [self.running.process, self._trainer]:
            for thread in process.threads():
                loop = thread.id == self._trainer.pid
                with suppress(OSError):
                    os.sched_setaffinity(thread.id, {training if loop else others})

    def seconds_queued(self) -> float:
        """Return for how long its training loop could have run, and the kernel ran something else."""
        return int(Path(f"/proc/{self._trainer.pid}/schedstat").read_text().split()[1]) / 1e9

    @property
    def _trainer(self) -> psutil.Process:
        [trainer] = self.running.process.children()
        return trainer

    def _yield_to_others(self) -> None:
        """Lower the trainer as well: it leads a session, and Linux shares a core among sessions alike."""
        for process in psutil.Process(self._process.pid).children(recursive=True):
            with suppress(OSError):
                Path(f"/proc/{process.pid}/autogroup").write_text("19")

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return what its log has of one kind."""
        lines = (self.folder / "events.log").read_text().splitlines()
        return [told for told in map(json.loads, lines) if told["event"] == name]

    def metric(self, name: str) -> float:
        """Return one of its metrics; 0 where it does not tell it now."""
        status = self.status()
        if status is None or status.metrics is None:
            return 0.0
        with urllib.request.urlopen(status.metrics, timeout=5) as answer:  # noqa: S310 - on loopback
            lines = answer.read().decode().splitlines()
        return next((float(line.split()[1]) for line in lines if line.startswith(name)), 0.0)

    @property
    def _log(self) -> Path:
        return self.folder / "daemon.log"

    @property
    def pid(self) -> int:
        """Of its daemon."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """With what it ended; None while it runs."""
        return self._process.poll()

    @property
    def lives(self) -> bool:
        """Whether its process runs."""
        return self.exit_code is None

    def leave(self) -> None:
        """Let it leave in order, with a checkpoint."""
        self.tell_to_leave()
        self.wait()

    def tell_to_leave(self) -> None:
        """Let it leave in order, and do not wait for it."""
        self._process.terminate()

    def wait(self, limit: float = PATIENCE) -> None:
        """Wait for its end."""
        try:
            self._process.wait(limit)
        except subprocess.TimeoutExpired as error:
            words = self._log.read_text().splitlines()[-3:]
            raise SystemExit(f"{self.folder.name} runs after {limit:g} s; it said {words}") from error
        self.end()

    def kill(self) -> None:
        """End its daemon as a power cut would, and wait for its trainer, which writes a checkpoint."""
        if self.lives:
            trainers = psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            self._process.wait()
            psutil.wait_procs(trainers, PATIENCE)
        self.end()

    def end(self) -> None:
        """End it at once, if it runs."""
        if self.lives:
            for child in psutil.Process(self._process.pid).children(recursive=True):
                child.kill()
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
