"""Whether training waits: tokens/s of a peer that exchanges, or feeds a newcomer, against one that is `solo`.

The link has 100 Mbit/s each way and a round trip of 100 ms, by the shaper of the tests. Two pairs of peers,
one of preset `gossip` and one of `solo`, take turns: while one runs the other is stopped. The partner of the
peer that is measured and the link, which in life are elsewhere, keep to the last core with the peer's own
daemon, the partner at the lowest priority; the training loop has the first core. Without that the kernel
now and then takes the core from the loop, and it is the kernel that is measured. Where the peer is measured
alone, something else keeps the last core busy: on many machines a busy neighbour alone slows a core down.

    python -m benchmarks.waiting --rounds 6 --seconds 40
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.exchange.arms import FAR, NEAR, Child, python
from benchmarks.homes import Home
from benchmarks.record import write_record

RUN = """
codecs = ["{codec}"]
[model]
layers = 4
width = 448
heads = 7
hidden = 1216
context = 64
[inner]
batch = 4
steps = 100000
warmup = 50
[outer]
preset = "{preset}"
every = {every}
seeks = 1
"""
"""Some 10 M parameters: a share of 20 MB in bf16, a state of 78 MB."""

WARM = 5.0
"""Seconds of a turn before it is measured: an exchange that was stopped in the midst breaks."""

ALONE = 12.0
"""Seconds for which a peer is measured before each newcomer."""

FIRST_CORE, LAST_CORE = 0, (os.cpu_count() or 1) - 1

OTHER = "127.0.0.3"
"""Where those listen who call: nobody finds them there, so that everything goes through the shaper."""


@dataclass(frozen=True)
class Measured:
    """One turn.

    Attributes:
        tokens_per_second: of the peer.
        daemon_share: CPU seconds of its daemon per second.
        queued: seconds per second for which its loop could have run, and the kernel ran something else.
        since: when it began, in seconds since 1970.
    """

    tokens_per_second: float
    daemon_share: float
    queued: float
    since: float

    @property
    def undisturbed(self) -> float:
        """Tokens per second that the loop had its core, or waited for something of ours."""
        return self.tokens_per_second / (1 - self.queued)


class Pair:
    """A peer, the link before it, and one who calls it through the link."""

    def __init__(
        self, stack: ExitStack, folder: Path, link: Sequence[str], run: str, ports: tuple[int, int]
    ) -> None:
        folder.mkdir()
        (folder / "run.toml").write_text(run)
        self._folder, self._ports = folder, ports
        first, bulk = ports
        self.peer = Home(
            folder / "measured",
            *("--run", str(folder / "run.toml"), "--bulk-port", str(bulk)),
            listen=f"/ip4/{NEAR}/tcp/{first}",
        )
        stack.callback(self.peer.end)
        self._link = stack.enter_context(Child(*python("peer.links", *link, str(first), str(bulk))))
        self._link.keep_to(LAST_CORE)
        for _ in ports:
            self._link.hear()
        self.peer_id = self.peer.until("training").peer_id
        self._callers: list[Home] = []
        stack.callback(self._end_callers)

    def call(self, name: str) -> Home:
        """Start one who joins through the link."""
        address = f"/ip4/{FAR}/tcp/{self._ports[0]}/p2p/{self.peer_id}"
        caller = Home(
            self._folder / name,
            *("--bootstrap", address),
            listen=f"/ip4/{OTHER}/tcp/0",
            nice=True,
            core=LAST_CORE,
        )
        self._callers.append(caller)
        return caller

    def hang_up(self, caller: Home) -> None:
        """End a caller and forget its home."""
        self._callers.remove(caller)
        caller.end()
        shutil.rmtree(caller.folder)

    def _end_callers(self) -> None:
        for caller in self._callers:
            caller.end()

    def turn(self, seconds: float) -> Measured:
        """Let the peer and its callers run for so long, after some seconds to warm up."""
        with self._awake():
            self.peer.spread(FIRST_CORE, LAST_CORE)
            time.sleep(WARM)
            since, began, queued = time.time(), time.monotonic(), self.peer.seconds_queued()
            turn = self.peer.running.turn(seconds)
            queued = (self.peer.seconds_queued() - queued) / (time.monotonic() - began)
        return Measured(turn.tokens_per_second, turn.daemon_share, queued, since)

    @contextmanager
    def _awake(self) -> Iterator[None]:
        members = [self.peer.running, *(caller.running for caller in self._callers)]
        self._link.signal(signal.SIGCONT)
        for member in members:
            member.signal(signal.SIGCONT)
        try:
            yield
        finally:
            for member in members:
                member.signal(signal.SIGSTOP)
            self._link.signal(signal.SIGSTOP)


def main() -> None:
    """Take turns, then feed newcomers, and write the record."""
    parser = argparse.ArgumentParser(description="Whether training waits for the network.")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--every", type=int, default=24, help="H: inner steps between two outer steps")
    parser.add_argument("--codec", default="bf16")
    parser.add_argument("--newcomers", type=int, default=5)
    parser.add_argument("--rate", type=float, default=100.0, metavar="MBIT/S")
    parser.add_argument("--rtt", type=float, default=100.0, metavar="MS")
    wanted = parser.parse_args()
    began = time.monotonic()
    link = ("--rate", str(wanted.rate), "--rtt", str(wanted.rtt))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        results = _exchanging(stack, folder, link, wanted)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        results |= _feeding(stack, folder, link, wanted)
    write_record(
        "waiting",
        {"link": {"megabits": wanted.rate, "round_trip_ms": wanted.rtt}, **results},
        time.monotonic() - began,
    )


def _exchanging(
    stack: ExitStack, folder: Path, link: Sequence[str], wanted: argparse.Namespace
) -> dict[str, Any]:
    pairs: dict[str, Pair] = {}
    for number, preset in enumerate(("gossip", "solo")):
        run = RUN.format(codec=wanted.codec, preset=preset, every=wanted.every)
        pairs[preset] = Pair(stack, folder / preset, link, run, (14001 + 2 * number, 14002 + 2 * number))
        pairs[preset].call("caller").until("training")
        pairs[preset].turn(1.0)  # leaves it stopped
    turns: dict[str, list[Measured]] = {preset: [] for preset in pairs}
    times: list[float] = []
    for index in range(wanted.rounds + 1):
        for preset, pair in pairs.items():
            turn = pair.turn(wanted.seconds)
            print(f"{index} {preset}: {turn}", file=sys.stderr)
            if index:
                turns[preset].append(turn)
            if preset == "gossip":
                done = pair.peer.events("exchange_done")
                times += [told["seconds"] for told in done if told["time"] >= turn.since + told["seconds"]]
    both = list(zip(turns["gossip"], turns["solo"], strict=True))
    ratios = [mixing.tokens_per_second / alone.tokens_per_second for mixing, alone in both]
    undisturbed = [mixing.undisturbed / alone.undisturbed for mixing, alone in both]
    rate = statistics.median(turn.tokens_per_second for turn in turns["gossip"])
    outer_step = wanted.every * 256 / rate
    return {
        "exchanging": {
            "codec": wanted.codec,
            "inner_steps_of_an_outer_step": wanted.every,
            "seconds_of_an_outer_step": round(outer_step, 2),
            "seconds_of_an_exchange": round(statistics.median(times), 2) if times else None,
            "exchanges": len(times),
            "exchange_over_outer_step": round(statistics.median(times) / outer_step, 3) if times else None,
            "tokens_per_second": {
                preset: [round(turn.tokens_per_second) for turn in each] for preset, each in turns.items()
            },
            "kernel_ran_something_else": {
                preset: [round(turn.queued, 3) for turn in each] for preset, each in turns.items()
            },
            "daemon_cpu_share": {
                preset: round(statistics.median(turn.daemon_share for turn in each), 3)
                for preset, each in turns.items()
            },
            "ratios": [round(ratio, 4) for ratio in ratios],
            "ratio_median": round(statistics.median(ratios), 4),
            "ratios_undisturbed": [round(ratio, 4) for ratio in undisturbed],
            "ratio_median_undisturbed": round(statistics.median(undisturbed), 4),
            "ratio_goal": 0.98,
        }
    }


def _feeding(
    stack: ExitStack, folder: Path, link: Sequence[str], wanted: argparse.Namespace
) -> dict[str, Any]:
    pair = Pair(
        stack,
        folder / "feeding",
        link,
        RUN.format(codec="bf16", preset="gossip", every=wanted.every),
        (14005, 14006),
    )
    ratios, fetched = [], []
    for index in range(wanted.newcomers + 1):
        pair.peer.spread(FIRST_CORE, LAST_CORE)
        with _neighbour():
            alone = pair.peer.running.rate_until(partial(_past, time.monotonic() + ALONE))
        newcomer = pair.call(f"newcomer{index}")
        newcomer.until("joining")
        pair.peer.spread(FIRST_CORE, LAST_CORE)
        feeding = pair.peer.running.rate_until(partial(newcomer.events, "state_fetched"))
        [told] = newcomer.events("state_fetched")
        pair.hang_up(newcomer)
        print(
            f"alone {alone:,.0f} tokens/s, feeding {feeding:,.0f}, {told['seconds']:.1f} s", file=sys.stderr
        )
        if index:
            ratios.append(feeding / alone)
            fetched.append(told)
    return {
        "feeding_a_newcomer": {
            "state_bytes": fetched[0]["size"],
            "seconds": [round(told["seconds"], 1) for told in fetched],
            "ratios": [round(ratio, 4) for ratio in ratios],
            "ratio_median": round(statistics.median(ratios), 4),
            "ratio_goal": 0.95,
        }
    }


@contextmanager
def _neighbour() -> Iterator[None]:
    """Keep the last core busy at the lowest priority, as a caller's trainer does."""
    command = ["nice", "-n", "19", sys.executable, "-c", "while True: sum(range(100_000))"]
    with subprocess.Popen(["taskset", "-c", str(LAST_CORE), *command]) as busy:
        try:
            yield
        finally:
            busy.kill()


def _past(moment: float) -> bool:
    return time.monotonic() >= moment


if __name__ == "__main__":
    main()
