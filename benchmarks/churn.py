"""Churn: real peers, one killed every few seconds and started again later, and an oracle that watches.

Every second return is with an empty home, as a newcomer. One peer, the witness, is never killed: its memory
and open files must stay flat over the whole run. The loss of the mean of all peers is compared with that of
the same run without churn, at equal tokens.

    python -m benchmarks.churn --seconds 600
"""

import argparse
import random
import shutil
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from benchmarks.liveness import Life, Sample
from benchmarks.record import write_record
from benchmarks.swarms import LOOK, START, Peer, Swarm, swarm

LOSS_GOAL = 0.03
"""Nats a token by which churn may cost."""


@dataclass(frozen=True)
class Order:
    """What is asked for; all times in seconds."""

    peers: int
    seconds: float
    every: float
    """Between two kills."""
    away: float
    """Until who was killed comes back."""
    seed: int


@dataclass
class Report:
    """What came of a run with churn."""

    kills: int = 0
    returns: int = 0
    newcomers: int = 0
    """Returns with an empty home."""
    lives: list[Life] = field(default_factory=list)

    @property
    def complaints(self) -> list[str]:
        """Everything that the oracle found."""
        return [f"{life.peer}: {complaint}" for life in self.lives for complaint in life.complaints]


def churn(made: Swarm, order: Order) -> Report:
    """Kill and bring back peers of a swarm that trains, and watch the others."""
    chance = random.Random(order.seed)
    report = Report()
    gone: dict[str, float] = {}
    began = made.now
    kill_at = began + order.every
    report.lives += [peer.life for peer in made.peers if peer.life is not None]
    while made.now - began < order.seconds:
        for peer in made.peers:
            peer.look(made.now)
        back = [peer for peer in made.peers if gone.get(peer.name, made.now) < made.now - order.away]
        for peer in back:
            del gone[peer.name]
            report.lives.append(_bring_back(made, peer, report))
        if made.now >= kill_at:
            victim = chance.choice([peer for peer in made.peers[1:] if peer.life is not None])
            victim.kill()
            gone[victim.name] = made.now
            report.kills += 1
            kill_at += order.every
        time.sleep(LOOK)
    for peer in made.peers:
        if peer.name in gone:
            report.lives.append(_bring_back(made, peer, report))
    for life in report.lives:
        life.check_flat()
    return report


def _bring_back(made: Swarm, peer: Peer, report: Report) -> Life:
    report.returns += 1
    if report.returns % 2 == 0:
        report.newcomers += 1
        shutil.rmtree(peer.folder)
    # Also for a home: who was killed before it had the manifest would found a run of its own.
    return peer.start(["--bootstrap", made.address()], made.now)


def settle(made: Swarm) -> None:
    """Wait until everybody trains again, and watch meanwhile."""
    waiting = made.now
    while not all(
        peer.life and peer.life.samples and peer.life.samples[-1].inner_step for peer in made.peers
    ):
        for peer in made.peers:
            peer.look(made.now)
        if made.now - waiting > START:
            return  # the oracle has complained of whoever is missing
        time.sleep(LOOK)


@dataclass(frozen=True)
class Outcome:
    """Where a run stands at its end."""

    inner_steps: tuple[int, ...]
    loss: float
    """Of the mean of all peers' weights, on held-out text, nats a token."""


def outcome(made: Swarm) -> Outcome:
    """Evaluate the last checkpoints."""
    import torch

    from peer.daemon.home import Home
    from peer.trainer.evaluate import evaluate_replicas, held_out_tokens
    from protocol.manifest import open_manifest

    torch.set_num_threads(1)
    sealed = Home(made.peers[0].folder).read_manifest()
    if sealed is None:
        raise SystemExit("the founder has no manifest")
    manifest = open_manifest(sealed)
    found = made.checkpoints()
    steps = tuple(int(folder.name.removeprefix("step-")) for folder in found)
    losses = evaluate_replicas(found, manifest, held_out_tokens(manifest, None, None), 256)
    return Outcome(steps, losses.average)


def calm(count: int, steps: int) -> Outcome:
    """Let the same run make so many inner steps a peer, with nobody killed."""
    with swarm(count) as made:
        made.start("--steps", str(steps))
        for peer in made.peers:
            peer.wait(3600)
        return outcome(made)


def main() -> None:
    """Run with churn, then without at equal tokens, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=600.0, help="of churn")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two kills")
    parser.add_argument("--away", type=float, default=20.0, help="seconds until who was killed comes back")
    parser.add_argument("--seed", type=int, default=0)
    wanted = Order(**vars(parser.parse_args()))
    began = time.monotonic()
    with swarm(wanted.peers) as made:
        made.start()
        report = churn(made, wanted)
        settle(made)
        made.stop()
        churned = outcome(made)
    steady = calm(wanted.peers, round(statistics.mean(churned.inner_steps)))
    cost = churned.loss - steady.loss
    results = _results(wanted, report) | {
        "with_churn": asdict(churned),
        "without_churn": asdict(steady),
        "loss_cost": round(cost, 4),
        "loss_goal": LOSS_GOAL,
    }
    write_record("churn", results, time.monotonic() - began)
    if report.complaints or cost > LOSS_GOAL:
        raise SystemExit("; ".join(report.complaints) or f"churn costs {cost:.3f} nats")


def _results(order: Order, report: Report) -> dict[str, object]:
    trained = [life for life in report.lives if life.samples]
    witness = trained[0].samples
    return {
        "order": asdict(order),
        "kills": report.kills,
        "returns": report.returns,
        "of_them_newcomers": report.newcomers,
        "complaints": report.complaints,
        "longest_without_inner_step_in_deadlines": _worst(life.longest_without_step for life in trained),
        "longest_without_exchange_in_deadlines": _worst(life.longest_without_exchange for life in trained),
        "witness": {
            "exchanges": witness[-1].exchanges,
            "inner_steps": witness[-1].inner_step,
            "memory_mb": [round(sample.memory / 1e6, 1) for sample in _spaced(witness)],
            "open_files": [sample.files for sample in _spaced(witness)],
        },
    }


def _worst(deadlines: Iterable[float]) -> float:
    return round(max(deadlines), 2)


def _spaced(samples: Sequence[Sample], count: int = 12) -> list[Sample]:
    return [samples[index * (len(samples) - 1) // (count - 1)] for index in range(count)]


if __name__ == "__main__":
    main()
