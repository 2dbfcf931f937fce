"""The preset `onebyte`: loss on a text new to the model, several voters, late news, and what replay costs.

python -m benchmarks.onebyte --steps 300 --rates 3e-4 5e-4 1e-3
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch
from msgspec.structs import replace
from torch import Tensor, nn

from benchmarks.record import write_record
from peer.trainer import data, sources
from peer.trainer.evaluate import held_out_loss
from peer.trainer.model import build
from peer.trainer.onebyte.directions import add_directions, perturb
from peer.trainer.onebyte.voter import Voter
from peer.trainer.replica import Replica
from peer.trainer.work import on_tokens, plain
from protocol.codec import digest
from protocol.manifest import Data, Inner, Manifest, OneByte, Outer
from protocol.trainer import Log

Number = dict[str, object]

BASE_STEPS = 200
WINDOWS = 128
"""Held-out windows of each evaluation."""

SIGNS = 40_000_000
"""Parameters of the vector on which replay is timed."""


def main() -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-4, 5e-4, 1e-3])
    parser.add_argument("--voters", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--late", type=int, nargs="+", default=[1, 10])
    wanted = parser.parse_args()
    began = time.perf_counter()
    base = trained()
    before = {name: loss(base, tokens) for name, tokens in texts()}
    alone = {rate: fine_tune(base, 1, 1, wanted.steps, rate) for rate in wanted.rates}
    best = min(wanted.rates, key=lambda rate: float(str(alone[rate]["austen"])))
    arms = list(alone.values())
    arms += [
        fine_tune(base, voters, late, wanted.steps, best) for voters in wanted.voters for late in wanted.late
    ]
    results = {"torch": torch.__version__, "base": before, "arms": arms, "replay": list(replay())}
    write_record("onebyte", results, time.perf_counter() - began)


def run(steps: int, rate: float) -> Manifest:
    """Return a run of the default model over six novels."""
    inner = Inner(steps=steps, warmup=0)
    return Manifest(
        founder=bytes(32),
        data=Data(source="text", sha256=digest(sources.embedded("austen"))),
        inner=inner,
        outer=Outer(preset="onebyte"),
        onebyte=OneByte(learning_rate=rate),
    )


@cache
def corpus(source: str) -> data.Corpus:
    """Return the corpus that comes with the code, or the novels."""
    if source == "shakespeare":
        return data.load(Manifest(founder=bytes(32)), None, None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "austen.txt"
        path.write_bytes(sources.embedded("austen"))
        return data.load(run(1, 1e-4), path, None)


def texts() -> Iterator[tuple[str, Tensor]]:
    """Yield the held-out text of each corpus."""
    yield from ((name, corpus(name).held_out) for name in ("shakespeare", "austen"))


def loss(net: nn.Module, tokens: Tensor) -> float:
    """Return nats a token."""
    return held_out_loss(net, tokens, Manifest(founder=bytes(32)).model.context, WINDOWS)


def trained() -> nn.Module:
    """Return the default model after AdamW on the corpus that comes with the code."""
    solo = replace(Manifest(founder=bytes(32)), outer=Outer(preset="solo", group=1))
    replica = Replica(solo, plain(solo, corpus("shakespeare"), 0), torch.device("cpu"))
    for _ in range(BASE_STEPS):
        replica.take_inner_step()
    return replica.net


def fine_tune(base: nn.Module, voters: int, late: int, steps: int, rate: float) -> Number:
    """Let voters vote, and give each other their news every `late` steps."""
    manifest = run(steps, rate)
    flock = [_voter(manifest, base, index) for index in range(voters)]
    casting, counting = 0.0, 0.0
    for step in range(1, steps + 1):
        began = time.perf_counter()
        for one in flock:
            one.cast()
        casting += time.perf_counter() - began
        if step % late == 0 or step == steps:
            began = time.perf_counter()
            logs = [Log(voter=_key(i), start=0, votes=one.own_log) for i, one in enumerate(flock)]
            for one in flock:
                one.count(logs)
            counting += time.perf_counter() - began
    assert len({one.theta.numpy().tobytes() for one in flock}) == 1  # noqa: S101 - what it is all about
    others = (voters - 1) * flock[0].votes
    return {
        "learning_rate": rate,
        "voters": voters,
        "late_steps": late,
        "votes": flock[0].votes,
        **{name: loss(flock[0].net, tokens) for name, tokens in texts()},
        "seconds_per_step": casting / (voters * steps),
        "seconds_per_others_vote": counting / others if others else None,
    }


def _key(index: int) -> bytes:
    return bytes([index + 1] * 32)


def _voter(manifest: Manifest, base: nn.Module, index: int) -> Voter:
    net = build(manifest.model, manifest.tokenizer.vocabulary, manifest.seed)
    net.load_state_dict(base.state_dict())
    return Voter(
        manifest, on_tokens(manifest, net, corpus("austen"), index), _key(index), torch.device("cpu")
    )


def replay() -> Iterator[Number]:
    """Yield the signs made and added up each second, for a small and a large model."""
    for parameters in (434_816, SIGNS):
        total, votes = torch.zeros(parameters, dtype=torch.int64), max(8, 40_000_000 // parameters)
        values = torch.zeros(parameters)
        perturb(values, 1, 1e-3)
        began = time.perf_counter()
        add_directions(total, range(1, votes + 1), range(1, votes + 1))
        adding = (time.perf_counter() - began) / votes
        began = time.perf_counter()
        perturb(values, 1, 1e-3)
        yield {
            "parameters": parameters,
            "threads": torch.get_num_threads(),
            "signs_per_second": parameters / adding,
            "seconds_per_vote": adding,
            "seconds_per_perturbation": time.perf_counter() - began,
        }


if __name__ == "__main__":
    main()
