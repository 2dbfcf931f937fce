"""What being a peer costs: its tokens/s against the same model in a plain PyTorch loop, and its daemon's CPU.

One real `peer start` and one plain loop, each with the same number of torch threads, take turns: while one
runs the other is stopped, so that a machine that changes its speed changes it for both.

    python -m benchmarks.overhead --rounds 6 --seconds 15
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from benchmarks.record import write_record
from peer.daemon.client import ControlClient
from peer.daemon.runtime import control_socket
from peer.errors import NotRunningError
from peer.trainer import data, sources
from peer.trainer.model import build
from protocol.control import Status
from protocol.manifest import Manifest

MODEL = Manifest(founder=bytes(32))
"""The default run's model and inner optimiser."""


@dataclass(frozen=True)
class Turn:
    """One turn of the peer."""

    tokens_per_second: float
    daemon_share: float
    """CPU seconds of the daemon process per second."""


def main() -> None:
    """Take turns, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--threads", type=int, default=1)
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)
    began = time.monotonic()
    turns: list[Turn] = []
    plain: list[float] = []
    loop = PlainLoop()
    with _peer(wanted.threads) as peer:
        for index in range(wanted.rounds + 1):
            turn = peer.turn(wanted.seconds)
            rate = loop.turn(wanted.seconds)
            print(f"peer {turn.tokens_per_second:,.0f} tokens/s, plain loop {rate:,.0f}", file=sys.stderr)
            if index:  # the first turns warm caches and allocators
                turns.append(turn)
                plain.append(rate)
    ratios = [turn.tokens_per_second / rate for turn, rate in zip(turns, plain, strict=True)]
    results = {
        "threads": wanted.threads,
        "parameters": sum(parameter.numel() for parameter in loop.net.parameters()),
        "peer_tokens_per_second": [round(turn.tokens_per_second) for turn in turns],
        "plain_tokens_per_second": [round(rate) for rate in plain],
        "ratios": [round(ratio, 4) for ratio in ratios],
        "ratio_median": round(statistics.median(ratios), 4),
        "ratio_goal": 0.97,
        "daemon_cpu_share_while_its_trainer_trains": round(
            statistics.median(turn.daemon_share for turn in turns), 4
        ),
    }
    write_record("overhead", results, time.monotonic() - began)


class PlainLoop:
    """The reference: model, AdamW, clipping, data in memory, and nothing else."""

    def __init__(self) -> None:
        text = sources.embedded("shakespeare")
        self._tokens = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        self._inner, self._context = MODEL.inner, MODEL.model.context
        self.net = build(MODEL.model, MODEL.tokenizer.vocabulary, MODEL.seed)
        matrices = [parameter for parameter in self.net.parameters() if parameter.ndim > 1]
        vectors = [parameter for parameter in self.net.parameters() if parameter.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
        self._optimiser = torch.optim.AdamW(
            groups,
            lr=self._inner.learning_rate,
            betas=(self._inner.beta1, self._inner.beta2),
            weight_decay=self._inner.weight_decay,
            fused=True,
        )
        self._generator = torch.Generator().manual_seed(0)

    def turn(self, seconds: float) -> float:
        """Train for so long, and return tokens a second."""
        began, steps = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            self._step()
            steps += 1
        return steps * self._inner.batch * self._context / (time.monotonic() - began)

    def _step(self) -> None:
        loss: Tensor = self.net(self._batch())
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), self._inner.clip)
        self._optimiser.step()
        self._optimiser.zero_grad()

    def _batch(self) -> Tensor:
        last = data.window_count(self._tokens, self._context)
        chosen = torch.randint(last, (self._inner.batch,), generator=self._generator).tolist()
        return data.batch(self._tokens, chosen, self._context)


class RunningPeer:
    """A real peer, stopped but for its turns."""

    def __init__(self, home: Path, process: psutil.Process) -> None:
        self._home = home
        self.process = process

    def turn(self, seconds: float) -> Turn:
        """Let it run for so long, and measure between two of its own reports."""
        self.signal(signal.SIGCONT)
        first, began = self._next_report()
        cpu, asleep = self._cpu(), time.monotonic()
        # Nobody asks the daemon anything meanwhile: answering is no part of being idle.
        time.sleep(seconds)
        share = (self._cpu() - cpu) / (time.monotonic() - asleep)
        last, ended = self._next_report()
        self.signal(signal.SIGSTOP)
        return Turn((last.tokens - first.tokens) / (ended - began), share)

    def rate_until(self, over: Callable[[], object]) -> float:
        """Return its tokens a second between two of its own reports, from now until it is over."""
        first, began = self._next_report()
        while not over():
            time.sleep(0.1)
        last, ended = self._next_report()
        return (last.tokens - first.tokens) / (ended - began)

    def _next_report(self) -> tuple[Status, float]:
        """Wait until the trainer reports, and return what it said and when it came."""
        with ControlClient(control_socket(self._home)) as client:
            before = client.status().tokens
            while (status := client.status()).tokens == before:
                time.sleep(0.005)
            return status, time.monotonic()

    def _cpu(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the daemon and to its trainer."""
        for process in [self.process, *self.process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


@contextmanager
def _peer(threads: int) -> Iterator[RunningPeer]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "peer", "start", "--home", str(home)),
                *("--listen", "/ip4/127.0.0.1/tcp/0", "--metrics-port", "0", "--stop-on-eof"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        with process:
            peer = RunningPeer(home, psutil.Process(process.pid))
            try:
                _wait_until_training(home)
                yield peer
            finally:
                peer.signal(signal.SIGCONT)
                process.terminate()
                process.wait(30)


def _wait_until_training(home: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(NotRunningError), ControlClient(control_socket(home)) as client:
            if client.status().tokens:
                return
        time.sleep(0.1)
    raise SystemExit("the peer did not begin to train within a minute")


if __name__ == "__main__":
    main()
