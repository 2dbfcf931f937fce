"""Whether training waits: tokens/s of a peer that exchanges, or feeds a newcomer, against one that is `solo`.

The link has 100 Mbit/s each way and a round trip of 100 ms, by the shaper of the tests. Two pairs of peers,
one of preset `gossip` and one of `solo`, take turns: while one runs the other is stopped. The partner of the
peer that is measured, which in life has a machine of its own, runs at the lowest priority.

    python -m benchmarks.waiting --rounds 6 --seconds 40
"""

import argparse
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
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

OTHER = "127.0.0.3"
"""Where those listen who call: nobody finds them there, so that everything goes through the shaper."""


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
        self._link = stack.enter_context(Child(*python("tests.links", *link, str(first), str(bulk))))
        for _ in ports:
            self._link.hear()
        self.peer_id = self.peer.until("training").peer_id
        self._callers: list[Home] = []
        stack.callback(self._end_callers)

    def call(self, name: str) -> Home:
        """Start one who joins through the link."""
        address = f"/ip4/{FAR}/tcp/{self._ports[0]}/p2p/{self.peer_id}"
        caller = Home(self._folder / name, "--bootstrap", address, listen=f"/ip4/{OTHER}/tcp/0", nice=True)
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

    def turn(self, seconds: float) -> tuple[float, float, float]:
        """Let the peer and its callers run; return tokens/s, the daemon's CPU share, and when it began."""
        with self._awake():
            time.sleep(WARM)
            began = time.time()
            measured = self.peer.running.turn(seconds)
        return measured.tokens_per_second, measured.daemon_share, began

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
    rates: dict[str, list[float]] = {preset: [] for preset in pairs}
    shares: dict[str, list[float]] = {preset: [] for preset in pairs}
    times: list[float] = []
    for index in range(wanted.rounds + 1):
        for preset, pair in pairs.items():
            rate, share, since = pair.turn(wanted.seconds)
            print(f"{index} {preset}: {rate:,.0f} tokens/s, daemon {share:.3f}", file=sys.stderr)
            if index:
                rates[preset].append(rate)
                shares[preset].append(share)
            if preset == "gossip":
                done = pair.peer.events("exchange_done")
                times += [told["seconds"] for told in done if told["time"] >= since + told["seconds"]]
    ratios = [mixing / alone for mixing, alone in zip(rates["gossip"], rates["solo"], strict=True)]
    outer_step = wanted.every * 256 / statistics.median(rates["gossip"])
    return {
        "exchanging": {
            "codec": wanted.codec,
            "inner_steps_of_an_outer_step": wanted.every,
            "seconds_of_an_outer_step": round(outer_step, 2),
            "seconds_of_an_exchange": round(statistics.median(times), 2) if times else None,
            "exchanges": len(times),
            "exchange_over_outer_step": round(statistics.median(times) / outer_step, 3) if times else None,
            "tokens_per_second": {preset: [round(rate) for rate in each] for preset, each in rates.items()},
            "daemon_cpu_share": {
                preset: round(statistics.median(each), 3) for preset, each in shares.items()
            },
            "ratios": [round(ratio, 4) for ratio in ratios],
            "ratio_median": round(statistics.median(ratios), 4),
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
        alone = pair.peer.running.rate_until(partial(_past, time.monotonic() + ALONE))
        newcomer = pair.call(f"newcomer{index}")
        newcomer.until("joining")
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


def _past(moment: float) -> bool:
    return time.monotonic() >= moment


if __name__ == "__main__":
    main()
