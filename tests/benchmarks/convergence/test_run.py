"""Tiny arms of every kind: that the harness measures what it says, not what comes of it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.convergence.arm import Arm
from benchmarks.convergence.record import Line, keep
from benchmarks.convergence.run import run
from benchmarks.convergence.setting import Setting
from benchmarks.convergence.tables import (
    DILOCO,
    GOSSIP,
    NOLOCO,
    STREAMING_DILOCO,
    STREAMING_GOSSIP,
    TABLES,
    Table,
)
from peer.outer.rule import PRESETS

TINY = Setting(
    layers=2, width=16, heads=1, hidden=32, context=16, warm=4, warm_batch=2, warmup=2, steps=12, batch=2
)
TINY = replace(TINY, eval_windows=64)
TOKENS = replace(DILOCO, weights="tokens")
ADDED = replace(STREAMING_DILOCO, keep=None, by_delay=False)

ARMS = [
    Arm("data-parallel", replicas=4, every=4, together=True),
    Arm("solo", PRESETS["solo"], replicas=4, every=4),
    Arm("diloco", DILOCO, replicas=4, every=4, partners="everybody"),
    Arm("diloco, coded", DILOCO, replicas=4, every=4, partners="everybody", codec="ecsq"),
    Arm("diloco, dropped", DILOCO, replicas=4, every=4, partners="everybody", drop=0.5),
    Arm("gossip", GOSSIP, replicas=4, every=4, rounds=2, delay=2, codec="modulo4"),
    Arm("gossip, own quantised", GOSSIP, replicas=4, every=4, codec="modulo3", own="quantised"),
    Arm("gossip, uneven", GOSSIP, replicas=4, every=4, partners="view", speeds=(1, 1, 0.5, 0.5)),
    Arm("diloco, by tokens", TOKENS, 4, 4, "everybody", speeds=(1, 1, 0.5, 0.5), boundaries="clock"),
    Arm("diloco, topk", DILOCO, replicas=4, every=4, partners="everybody", codec="topk"),
    Arm("noloco, by source", NOLOCO, replicas=4, every=4, shards="by source"),
    Arm("streaming-gossip", STREAMING_GOSSIP, replicas=4, every=4, delay=1),
    Arm("streaming-diloco", STREAMING_DILOCO, replicas=4, every=4, delay=1, partners="everybody"),
    Arm("streaming-diloco, added", ADDED, replicas=4, every=4, delay=1, partners="everybody"),
]  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("warm")


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.name)
def test_an_arm_learns_and_runs_again_alike(arm: Arm, cache: Path) -> None:
    first, second = (run(arm, TINY, cache, None, singles=1) for _ in range(2))
    assert math.isfinite(first["average"])
    assert first["average"] < first["curve"][0]["average"]
    assert first["average"] == second["average"]


def test_bits_are_counted_each_way(cache: Path) -> None:
    one = run(Arm("", GOSSIP, replicas=4, every=4), TINY, cache, None, 0)
    two = run(Arm("", GOSSIP, replicas=4, every=4, rounds=2), TINY, cache, None, 0)
    everybody = run(Arm("", DILOCO, replicas=4, every=4, partners="everybody"), TINY, cache, None, 0)
    assert (one["bits"] * 4, two["bits"] * 4) == (32, 64)
    assert everybody["bits"] * 4 == pytest.approx(2 * 32 * 3 / 4)


def test_arms_have_names_of_their_own() -> None:
    for table in TABLES.values():
        names = [case.name for case in table.cases(range(3))]
        assert len(set(names)) == len(names)


def test_normalising_matters_only_where_replicas_take_unequal_numbers_of_steps(cache: Path) -> None:
    def loss(speeds: tuple[float, ...], *, normalise: bool) -> float:
        arm = Arm("", DILOCO, 4, 4, "everybody", speeds=speeds, boundaries="clock", normalise=normalise)
        return float(run(arm, TINY, cache, None, 0)["average"])

    equal, unequal = (1.0,) * 4, (1.0, 1.0, 0.5, 0.5)
    assert loss(equal, normalise=True) == pytest.approx(loss(equal, normalise=False), abs=1e-5)
    assert loss(unequal, normalise=True) != pytest.approx(loss(unequal, normalise=False), abs=1e-5)


def test_a_run_that_diverges_ends_and_is_recorded_as_such(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Line] = []
    monkeypatch.setattr("benchmarks.convergence.run.DIVERGED", 1.0)
    monkeypatch.setattr("benchmarks.convergence.record.draw", lambda lines, *_: drawn.extend(lines))
    monkeypatch.setattr("benchmarks.record.ROOT", tmp_path)
    (tmp_path / "benchmarks").mkdir()
    table = Table([Arm("gossip, 0", GOSSIP, replicas=4, every=4)], TINY, against="delay")
    (case,) = table.cases([0])
    (tmp_path / f"{case.name}.json").write_text(json.dumps(run(case.arm, TINY, cache, None, 1)))
    keep("tiny", table, [case], tmp_path)
    record = json.loads((tmp_path / "benchmarks" / "records" / "convergence-tiny.json").read_text())
    assert record["results"]["arms"][0]["average"] == {"mean": None, "each": [None]}
    (line,) = drawn
    assert line.label == "gossip"
    assert math.isnan(line.points[0][1])
