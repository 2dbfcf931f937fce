"""Starts both programs, keeps their list of peers true, and ends them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias

from peer.errors import DashboardError, NoDashboardError
from peer.local.dashboard.files import prepare
from peer.local.dashboard.programs import Program, grafana, prometheus
from peer.local.dashboard.targets import TargetsFile, local_targets

LOOK = 2.0
"""Seconds between two looks for peers that came or went."""

PATIENCE = 60.0
"""Seconds for a program to work once it runs. An image that must be fetched first has `FETCHING`."""

FETCHING = 900.0

STOPPING = 8.0
"""Seconds from the asking until a program is killed: Prometheus writes down what it has in memory."""

REMOVING = 20.0
"""Seconds that a container engine has to end and forget a container."""

_POLL = 0.2

_WRONG = re.compile(r"error|cannot|failed", re.IGNORECASE)
_CALM = re.compile(r"\b(?:level|lvl)=(?:debug|info|warn)", re.IGNORECASE)
"""Of what both programs log, lines about no fault, whatever words are in them."""

Say: TypeAlias = Callable[[str], None]
"""Prints a line for a person."""


def run_dashboard(
    folder: Path, prometheus_port: int | None, grafana_port: int | None, *, as_json: bool = False
) -> None:
    """Show this machine's peers until interrupted.

    Args:
        folder: for configuration, and for what both programs remember.
        prometheus_port: on loopback; None for the usual one, or any that is free.
        grafana_port: likewise.
        as_json: print one JSON object once both programs work, and all words on standard error.

    Raises:
        NoDashboardError: neither Prometheus nor a container engine is here.
        DashboardError: one of them does not start, or ended.
        HomeError: `folder` cannot be written.
        KeyboardInterrupt: the person has seen enough; both programs have been ended.
    """
    folder = folder.resolve()
    reader = prometheus(folder, prometheus_port or _free(9090))
    if reader is None:
        raise NoDashboardError(
            "Neither Prometheus nor a container engine is installed",
            "Install one: `apt install prometheus`, `brew install prometheus grafana`, or Docker",
        )
    painter = grafana(folder, grafana_port or _free(3000), reader.url)
    for program in (reader, painter):
        if program is not None:
            _need_port(program)
    prepare(folder)
    targets = TargetsFile(folder / "targets.json")
    targets.write(local_targets())
    say = partial(print, file=sys.stderr if as_json else sys.stdout, flush=True)
    with _terminated_as_interrupted(), ExitStack() as stack:
        running = [(reader, _open(stack, reader, folder, say))]
        if painter is None:
            how = "Prometheus alone draws graphs of what you ask it, such as murmuration_loss_nats"
            say(f"Grafana is not installed; {how}")
        else:
            running += _try_to_open(stack, painter, folder, say)
        if as_json:
            addresses = {program.name.lower(): program.url for program, _ in running}
            print(json.dumps({"grafana": None, **addresses, "folder": str(folder)}), flush=True)
        _watch(targets, running, folder, say)


def _open(stack: ExitStack, program: Program, folder: Path, say: Say) -> subprocess.Popen[bytes]:
    process = stack.enter_context(_started(program, folder))
    _wait_until_ready(program, process, folder)
    say(f"{program.name} at {program.url}")
    return process


def _try_to_open(
    stack: ExitStack, program: Program, folder: Path, say: Say
) -> list[tuple[Program, subprocess.Popen[bytes]]]:
    """Do without Grafana where it does not start: half a view is better than none."""
    try:
        return [(program, _open(stack, program, folder, say))]
    except DashboardError as error:
        print(f"peer: {error}. Going on without it", file=sys.stderr)
        return []


def _free(usual: int) -> int:
    """Return the usual port, or one that is free where somebody has it: Debian's Prometheus runs at once."""
    for port in (usual, 0):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)) as server:
            found: int = server.getsockname()[1]
            return found
    return usual


def _need_port(program: Program) -> None:
    port = int(program.url.rpartition(":")[2])
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        option = f"--{program.name.lower()}-port"
        raise DashboardError(
            f"Port {port}, for {program.name}, is taken", f"Choose another, or leave out {option}"
        ) from error


def _watch(
    targets: TargetsFile, running: Sequence[tuple[Program, subprocess.Popen[bytes]]], folder: Path, say: Say
) -> None:
    told = False
    while True:
        found = local_targets()
        if targets.write(found) or not told:
            told = True
            say(f"peers of this machine: {', '.join(found) or 'none yet'}")
        for program, process in running:
            if process.poll() is not None:
                raise _ended(program, process, folder)
        time.sleep(LOOK)


@contextmanager
def _started(program: Program, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    try:
        with _log(program, folder).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal reaches us alone; we then end them in order.
                start_new_session=True,
                env={**os.environ, **program.environment},
            )
    except OSError as error:
        raise DashboardError(
            f"Cannot start {program.name} ({error.strerror})", f"Try it by hand: {program.command[0]}"
        ) from error
    try:
        yield process
    finally:
        try:
            _end(process)
        finally:
            _remove(program, folder)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOPPING)
    finally:
        # Nothing, where it has ended. Whoever presses Ctrl-C again does not want to wait.
        process.kill()
        process.wait()


def _remove(program: Program, folder: Path) -> None:
    """End the program's container, if it has one: a `docker run` that was killed leaves it running."""
    if not program.removal:
        return
    try:
        with _log(program, folder).open("ab") as log:
            # That it has gone already, as it should have, is said in the log and is no fault.
            subprocess.run(  # noqa: S603 - our own command
                program.removal,
                stdout=log,
                stderr=log,
                timeout=REMOVING,
                check=False,
                start_new_session=True,  # as the program itself: Ctrl-C is for us
            )
    except (OSError, subprocess.TimeoutExpired, KeyboardInterrupt) as error:
        print(f"peer: {program.name} may run on. End it with: {' '.join(program.removal)}", file=sys.stderr)
        if isinstance(error, KeyboardInterrupt):
            raise


def _wait_until_ready(program: Program, process: subprocess.Popen[bytes], folder: Path) -> None:
    contained = bool(program.removal)
    if contained:
        print(f"starting {program.name} in a container; the first time its image is fetched", file=sys.stderr)
    patience = FETCHING if contained else PATIENCE
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _ended(program, process, folder)
        with suppress(OSError), urllib.request.urlopen(program.ready, timeout=2) as answer:  # noqa: S310 - http
            if answer.status == 200:
                return
        time.sleep(_POLL)
    raise DashboardError(
        f"{program.name} is not ready after {patience:g} s", f"Its log is {_log(program, folder)}"
    )


def _ended(program: Program, process: subprocess.Popen[bytes], folder: Path) -> DashboardError:
    path = _log(program, folder)
    said = _telling(path.read_text(errors="replace").strip().splitlines())
    return DashboardError(
        f"{program.name} ended with code {process.returncode}. It said: {said}", f"Its log is {path}"
    )


def _telling(lines: Sequence[str]) -> str:
    """Return the line of a log that tells what is wrong: a container engine's last only offers help."""
    wrong = (line for line in lines if _WRONG.search(line) and not _CALM.search(line))
    return next(wrong, lines[-1] if lines else "nothing")


def _log(program: Program, folder: Path) -> Path:
    return folder / f"{program.name.lower()}.log"


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end both as Ctrl-C does, and SIGINT as well where a shell's `&` has it ignored."""

    def interrupt(number: int, frame: object) -> None:
        del number, frame
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
