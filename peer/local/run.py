"""`peer swarm` from start to report."""

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.live import Live

from peer.config.describe import toml
from peer.config.run_file import RunFile, read_run_file
from peer.daemon.home import Home
from peer.errors import HomeError, RunFileError, UsageError
from peer.local.processes import LocalSwarm
from peer.local.report import HeldOut, Report, as_text, peer_reports
from peer.local.table import line, table
from protocol.manifest import Inner, Manifest, open_manifest

REFRESH = 0.5
"""Seconds between two looks at the peers."""

LINE_EVERY = 10.0
"""Seconds between two lines where standard error is no terminal."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the person asked for."""

    peers: int
    steps: int
    preset: str | None
    codec: str | None
    run_file: Path | None
    folder: Path | None
    weights: Path | None = None
    device: str = "auto"


def run_swarm(order: Order, *, as_json: bool) -> None:
    """Run a swarm and print its report: text, or one JSON object as the last line of standard output.

    Raises:
        PeerError: it cannot start, or a peer failed on the way; those that did not are reported first.
        KeyboardInterrupt: it was ended on the way; every process has been, and has kept what it learned.
    """
    given = _given_run(order)
    folder = _folder(order)
    swarm = LocalSwarm(folder)
    console = Console(stderr=True)
    began = time.monotonic()
    try:
        run = given or _small_run(order, folder)
        with _signals_interrupt():
            _start(swarm, order, run.path)
            _watch(swarm, order, console, began)
    except KeyboardInterrupt:
        swarm.stop()
        print(f"stopped; what was learned is in {folder}, for --home", file=sys.stderr)
        raise
    finally:
        swarm.stop()
    report = _report(swarm, run, time.monotonic() - began)
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        print(as_text(report, folder, run.task.name if run.task else None))
    _complain(swarm)


def _given_run(order: Order) -> RunFile | None:
    """Return the run file that was named, checked before anything is made."""
    if order.run_file is None:
        return None
    if order.preset or order.codec or order.weights:
        named = "--run and --preset, --codec or --weights say the same thing twice"
        raise UsageError(named, "Set them in the run file")
    return read_run_file(order.run_file)


def _folder(order: Order) -> Path:
    folder = order.folder or Path("swarm") / datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")
    remedy = "Name a new folder, where you may write, with --folder"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty", remedy)
    except OSError as error:
        raise HomeError(f"Cannot use {folder} ({error.strerror})", remedy) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise HomeError(f"Cannot write in {folder}", remedy)
    return folder.resolve()


def _small_run(order: Order, folder: Path) -> RunFile:
    """Write a small run made of the options."""
    lines = [f"[inner]\nsteps = {order.steps}\nwarmup = {min(Inner().warmup, order.steps // 4)}"]
    if order.weights:
        lines.append(f"[model]\npath = {toml(str(order.weights.absolute()))}")
    if order.preset:
        lines.append(f'[outer]\npreset = "{order.preset}"')
    if order.codec:
        lines.insert(0, f'codecs = ["{order.codec}"]')
    path = folder / "run.toml"
    path.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    try:
        return read_run_file(path)
    except RunFileError as error:
        # Nobody has written that file: what can be mended are the options.
        said = re.sub(rf"{re.escape(str(path))}:\d+: ", "", error.message)
        raise UsageError(f"These options make no run: {said}", "Choose another codec or preset") from error


def _start(swarm: LocalSwarm, order: Order, run_file: Path) -> None:
    # Those that join take the run from the swarm, but where its files lie on this machine from the run file.
    shared = ["--run", str(run_file), "--steps", str(order.steps), "--device", order.device]
    founder = swarm.start(0, [*shared, "--shard", "0"])
    address = swarm.address_of(founder)
    for index in range(1, order.peers):
        swarm.start(index, [*shared, "--shard", str(index), "--bootstrap", address])


def _watch(swarm: LocalSwarm, order: Order, console: Console, began: float) -> None:
    """Show the peers until the last has ended."""
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            try:
                for seconds in _ticks(swarm, began, REFRESH):
                    live.update(table(swarm.peers, seconds, order.steps), refresh=True)
            except KeyboardInterrupt:
                # What is drawn last stays on the screen.
                swarm.stop()
                swarm.refresh()
                live.update(table(swarm.peers, time.monotonic() - began, order.steps), refresh=True)
                raise
        return
    next_line = 0.0
    for seconds in _ticks(swarm, began, REFRESH):
        if seconds >= next_line:
            print(line(swarm.peers, seconds), file=sys.stderr, flush=True)
            next_line = seconds + LINE_EVERY
    print(line(swarm.peers, time.monotonic() - began), file=sys.stderr, flush=True)


def _ticks(swarm: LocalSwarm, began: float, every: float) -> Iterator[float]:
    while any(peer.running for peer in swarm.peers):
        swarm.refresh()
        yield time.monotonic() - began
        time.sleep(every)
    swarm.refresh()
    yield time.monotonic() - began


def _report(swarm: LocalSwarm, run: RunFile, seconds: float) -> Report:
    manifest, held_out, checkpoints = _evaluate(swarm, run)
    peers = peer_reports(swarm.peers)
    return Report(
        peers=peers,
        held_out=held_out,
        bytes_sent=sum(peer.status.bytes_out for peer in swarm.peers if peer.status),
        lane_bytes_sent=sum(peer.status.lane_bytes_out for peer in swarm.peers if peer.status),
        seconds=seconds,
        preset=manifest.outer.preset,
        codec=manifest.codecs[0],
        checkpoints=checkpoints,
    )


def _evaluate(swarm: LocalSwarm, run: RunFile) -> tuple[Manifest, HeldOut, list[str]]:
    # Only here does this process need torch, which takes seconds to load.
    from peer.trainer.checkpoint import paths
    from peer.trainer.work import Places, evaluate

    checkpoints = [found[0] for peer in swarm.peers if (found := paths(peer.home / "checkpoints"))]
    if not checkpoints:
        raise swarm.failure(swarm.peers[0])
    with Home.open(swarm.peers[0].home) as home:
        sealed = home.read_manifest()
    if sealed is None:
        raise swarm.failure(swarm.peers[0])
    manifest = open_manifest(sealed)
    places = Places(
        run.data_paths,
        run.tokenizer_path,
        run.base.source if run.base else None,
        run.task.name if run.task else None,
    )
    losses = evaluate(checkpoints, manifest, places, run.weights_path)
    held_out = HeldOut(
        start=losses.start,
        replicas=list(losses.replicas),
        replicas_mean=sum(losses.replicas) / len(losses.replicas),
        average=losses.average,
    )
    return manifest, held_out, [str(path) for path in checkpoints]


def _complain(swarm: LocalSwarm) -> None:
    for peer in swarm.peers:
        if peer.process.returncode:
            raise swarm.failure(peer)


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let SIGTERM end the swarm as Ctrl-C does, and SIGINT as well where a shell's `&` has it ignored."""

    def interrupt(number: int, frame: object) -> None:
        del number, frame
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
