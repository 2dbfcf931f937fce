"""The ways of exchanging that are compared: each is two processes, told through their standard input."""

import json
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import psutil

ROOT = Path(__file__).resolve().parents[2]
NEAR = "127.0.0.1"
FAR = "127.0.0.2"
"""Where the shaper listens, with the ports of the processes behind it."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What one transfer took: until all had everything, and the CPU of all processes of both sides."""

    seconds: float
    cpu_seconds: float
    told: tuple[dict[str, Any], ...] = ()


class Child:
    """A process that answers lines with lines of JSON."""

    def __init__(self, *command: str) -> None:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("pipes were asked for")
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout
        self._measured = psutil.Process(self._process.pid)

    def tell(self, line: str) -> None:
        """Send a line."""
        self._stdin.write(line + "\n")
        self._stdin.flush()

    def hear(self) -> Any:  # noqa: ANN401 - JSON
        """Return the next answer."""
        line = self._stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args!r} died")
        return json.loads(line)

    def ask(self, line: str) -> Any:  # noqa: ANN401 - JSON
        """Send a line and return its answer."""
        self.tell(line)
        return self.hear()

    def cpu(self) -> float:
        """CPU seconds so far of the process and what it started."""
        family = [self._measured, *self._measured.children(recursive=True)]
        return sum(sum(each.cpu_times()[:2]) for each in family)

    def keep_to(self, core: int) -> None:
        """Let it run on one core alone."""
        self._measured.cpu_affinity([core])

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._measured.send_signal(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        family = self._measured.children(recursive=True)
        self._stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        for each in family:
            if each.is_running():
                each.kill()


def python(*command: str) -> tuple[str, ...]:
    """Return what runs a module with our own interpreter."""
    return (sys.executable, "-m", *command)


class Arm(Protocol):
    """One way of exchanging between two processes."""

    name: str
    ports: list[int]
    """Those that the shaper has to forward, before `connect`."""

    def connect(self, host: str) -> None:
        """Let the one process call the other at `host`."""

    def move(self, size: int, *, both_ways: bool) -> Transfer:
        """Move so many bytes to the one who called, and as many back at the same time if told."""


class Raw:
    """Bare TCP connections."""

    def __init__(self, stack: ExitStack, count: int) -> None:
        self.name = f"tcp_{count}"
        self._count = str(count)
        self._stack = stack
        self._one = stack.enter_context(Child(*python("benchmarks.exchange.raw", self._count)))
        self.ports: list[int] = self._one.hear()["ports"]

    def connect(self, host: str) -> None:
        """See `Arm`."""
        call = python("benchmarks.exchange.raw", self._count, host, str(self.ports[0]))
        self._other = self._stack.enter_context(Child(*call))
        self._other.hear()
        self._one.hear()

    def move(self, size: int, *, both_ways: bool) -> Transfer:
        """See `Arm`."""
        back = size if both_ways else 0
        return _measured((self._one, f"{size} {back}"), (self._other, f"{back} {size}"))


class Peers:
    """Two peers, with lanes or over libp2p alone."""

    def __init__(self, stack: ExitStack, folder: Path, *, lanes: bool) -> None:
        self.name = "lanes" if lanes else "libp2p"
        how = ["lanes"] if lanes else []
        module = "benchmarks.exchange.peer"
        self._one = stack.enter_context(Child(*python(module, "1", str(folder), *how)))
        self._other = stack.enter_context(Child(*python(module, "2", str(folder), *how, "calls")))
        told = self._one.hear()
        self.ports: list[int] = told["ports"]
        self._one_id, self._other_id = told["peer_id"], self._other.hear()["peer_id"]

    def connect(self, host: str) -> None:
        """See `Arm`."""
        address = f"/ip4/{host}/tcp/{self.ports[0]}/p2p/{self._one_id}"
        self._other.ask(json.dumps({"dial": address}))

    def move(self, size: int, *, both_ways: bool) -> Transfer:
        """See `Arm`."""
        held = self._one.ask(json.dumps({"hold": size}))
        told = [(self._other, json.dumps({"pull": {**held, "from": self._one_id}}))]
        if both_ways:
            held = self._other.ask(json.dumps({"hold": size}))
            told.append((self._one, json.dumps({"pull": {**held, "from": self._other_id}})))
        return _measured(*told, also=(self._one,))


class Averagers:
    """Two of hivemind's averagers, in its own environment. Loopback only: it dials as it likes."""

    def __init__(self, stack: ExitStack, interpreter: str, folder: Path, size: int) -> None:
        self.name = "hivemind"
        script = str(Path(__file__).with_name("averager.py"))
        one = stack.enter_context(Child(interpreter, script, str(size), str(folder / "one")))
        known = one.hear()["address"]
        other = stack.enter_context(Child(interpreter, script, str(size), str(folder / "other"), known))
        other.hear()
        self._peers = (one, other)

    def average(self) -> Transfer:
        """Average once. The seconds are those of the all-reduce alone, without matchmaking."""
        return _measured(*((peer, "go") for peer in self._peers))


def _measured(*told: tuple[Child, str], also: tuple[Child, ...] = ()) -> Transfer:
    children = {*also, *(child for child, _ in told)}
    before = sum(child.cpu() for child in children)
    for child, line in told:
        child.tell(line)
    answers = tuple(child.hear() for child, _ in told)
    cpu = sum(child.cpu() for child in children) - before
    return Transfer(max(answer["seconds"] for answer in answers), cpu, answers)
