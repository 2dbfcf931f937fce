from dataclasses import replace

import pytest

from peer.plan.check import Drawn, as_text, check
from peer.plan.choose import choose
from peer.plan.measured import Measured
from peer.plan.reckon import reckon
from peer.plan.shape import flops_a_token
from tests.peer.plan.test_choose import QUESTION

CHOSEN = choose(QUESTION)
PLAN = reckon(QUESTION, CHOSEN)
assert PLAN.pace is not None
assert PLAN.traffic.exchange_seconds is not None
assert PLAN.loss is not None
SHARE = round(PLAN.traffic.exchange_bytes)
MEASURED = Measured(
    device="cuda:0",
    peers=16,
    inner_steps=10 * CHOSEN.every,
    seconds=10 * PLAN.pace.outer_step_seconds,
    last_step=9999,
    exchange_seconds=(PLAN.traffic.exchange_seconds,) * 48,
    bytes_in=48 * SHARE,
    bytes_out=48 * SHARE,
    skips=0,
)
UNKNOWN = Drawn(None, "not measured: nothing tells")


def test_a_run_that_went_as_planned_has_a_ratio_of_one():
    as_planned = Drawn(QUESTION.power.watts, "as planned")
    found = check(QUESTION, CHOSEN, PLAN, MEASURED, PLAN.loss.nats, as_planned)
    assert {line.name: line.ratio for line in found.lines} == pytest.approx(
        dict.fromkeys((line.name for line in found.lines), 1), rel=1e-3
    )
    assert found.flops == pytest.approx(0.3 * 165e12)


def test_what_was_not_planned_is_shown_all_the_same():
    bare = replace(QUESTION, power=None, link=None)
    found = check(bare, CHOSEN, reckon(bare, CHOSEN), MEASURED, None, UNKNOWN)
    told = as_text(found)
    assert "tokens a second, a peer               -" in told
    assert told.endswith("--flops 4.95e+04G --mfu 1") or "--flops" in told
    tokens = CHOSEN.batch * 2048 / MEASURED.inner_step_seconds
    assert found.flops == pytest.approx(tokens * flops_a_token(QUESTION.model, QUESTION.vocabulary))


def test_a_day_is_reckoned_from_the_pace_for_a_peer_and_for_all():
    found = check(QUESTION, CHOSEN, PLAN, MEASURED, None, UNKNOWN)
    measured = {line.name: line.measured for line in found.lines}
    a_peer = CHOSEN.batch * 2048 / MEASURED.inner_step_seconds * 86400
    assert measured["tokens a day, a peer"] == pytest.approx(a_peer)
    assert measured["tokens a day, all peers"] == pytest.approx(QUESTION.peers * a_peer)
    assert f"All peers: {QUESTION.peers}, each at this one's pace." in as_text(found)


def test_energy_that_nobody_measured_is_called_so():
    told = as_text(check(QUESTION, CHOSEN, PLAN, MEASURED, None, UNKNOWN)).splitlines()
    (line,) = (each for each in told if each.startswith("kWh a day"))
    assert line.split()[-3:] == ["not", "measured", "-"]
    assert "kWh: not measured: nothing tells." in told
    measured = check(QUESTION, CHOSEN, PLAN, MEASURED, None, Drawn(250.0, "at 250 W"))
    assert {line.name: line.measured for line in measured.lines}["kWh a day, a peer"] == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("planned", "trained_on", "other"),
    [
        ("rtx 4090", "cpu", True),
        ("rtx 4090", "mps", True),
        ("m2 max", "cuda", True),
        ("rtx 4090", "cuda:0,cuda:1", False),
        ("m2 max", "mps", False),
        (None, "cpu", False),
    ],
)
def test_a_plan_for_another_kind_of_device_is_called_so(planned, trained_on, other):
    question = replace(QUESTION, power=replace(QUESTION.power, device=planned))
    found = check(question, CHOSEN, PLAN, replace(MEASURED, device=trained_on), None, UNKNOWN)
    assert found.planned_for == (planned if other else None)
    assert (f"Planned for the {planned}, measured on {trained_on}: " in as_text(found)) == other
