from dataclasses import replace

import pytest

from peer.plan.check import as_text, check
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


def test_a_run_that_went_as_planned_has_a_ratio_of_one():
    found = check(QUESTION, CHOSEN, PLAN, MEASURED, PLAN.loss.nats)
    assert {line.name: line.ratio for line in found.lines} == pytest.approx(
        dict.fromkeys((line.name for line in found.lines), 1), rel=1e-3
    )
    assert found.flops == pytest.approx(0.3 * 165e12)


def test_what_was_not_planned_is_shown_all_the_same():
    bare = replace(QUESTION, power=None, link=None)
    found = check(bare, CHOSEN, reckon(bare, CHOSEN), MEASURED, None)
    told = as_text(found)
    assert "tokens a second, a peer               -" in told
    assert told.endswith("--flops 4.95e+04G --mfu 1") or "--flops" in told
    tokens = CHOSEN.batch * 2048 / MEASURED.inner_step_seconds
    assert found.flops == pytest.approx(tokens * flops_a_token(QUESTION.model, QUESTION.vocabulary))
