import json
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from peer.plan.choose import choose
from peer.plan.devices import MFU_RANGE
from peer.plan.question import Power
from peer.plan.reckon import reckon
from peer.plan.shape import flops_a_token
from protocol.manifest import Manifest, Model
from protocol.sizes import model_parameters
from tests.peer.plan.test_choose import QUESTION

CHOSEN = choose(QUESTION)
PLAN = reckon(QUESTION, CHOSEN)
RECORDS = Path(__file__).parents[3] / "benchmarks" / "records"


def _record(name):
    return json.loads((RECORDS / f"{name}.json").read_text(encoding="utf-8"))["results"]


def test_the_pace_follows_from_operations_alone():
    pace = PLAN.pace
    assert pace.tokens_per_second == pytest.approx(
        0.3 * 165e12 / (6 * QUESTION.parameters + 12 * 14 * 896 * 2048)
    )
    assert pace.days == pytest.approx(3.2e9 / 16 / pace.tokens_per_second / 86400)
    assert pace.lowest / pace.tokens_per_second == pytest.approx(MFU_RANGE[0] / 0.3)
    assert pace.kwh == pytest.approx(0.45 * 24 * pace.days * 16)


def test_a_measured_part_of_the_peak_is_no_guess():
    power = Power(1e12, 1.0, assumed=False)
    pace = reckon(replace(QUESTION, power=power), CHOSEN).pace
    assert pace.lowest == pace.tokens_per_second == pace.highest
    assert pace.kwh is None


def test_a_month_of_exchanges():
    traffic = PLAN.traffic
    outer_steps = 30 * 86400 / PLAN.pace.outer_step_seconds
    assert traffic.month_bytes == pytest.approx(outer_steps * traffic.exchanges * traffic.exchange_bytes)
    assert traffic.line_busy == pytest.approx(traffic.exchanges * traffic.of_outer_step)


def test_the_loss_is_the_sum_of_its_parts():
    assert sum(part.nats for part in PLAN.loss.parts) == pytest.approx(PLAN.loss.nats)
    assert sum(part.uncertainty for part in PLAN.loss.parts) == pytest.approx(PLAN.loss.uncertainty)
    alone = reckon(replace(QUESTION, peers=1), CHOSEN)
    assert len(alone.loss.parts) == 2
    assert alone.loss.nats < PLAN.loss.nats


def test_what_is_not_known_is_left_out():
    bare = reckon(replace(QUESTION, power=None, link=None), CHOSEN)
    assert bare.pace is None
    assert (bare.traffic.exchange_seconds, bare.traffic.month_bytes, bare.traffic.line_busy) == (
        None,
        None,
        None,
    )
    assert bare.loss is not None


def test_far_from_the_tables_no_loss_is_told():
    assert reckon(replace(QUESTION, tokens=1e6), CHOSEN).loss is None


def test_what_a_small_model_reached_predicts_a_larger_one():
    """From below, by the records of two machines' days: 0.4 M parameters on one thread, and 9.9 M."""
    small = _record("overhead")
    model = Manifest(founder=bytes(32)).model
    assert model_parameters(model, 256) == small["parameters"]
    reached = median(small["plain_tokens_per_second"]) * flops_a_token(model, 256)
    larger = Model(layers=4, width=448, heads=7, hidden=1216, context=64)
    question = replace(
        QUESTION, model=larger, vocabulary=256, power=Power(reached, mfu=1.0, assumed=False), preset="solo"
    )
    measured = median(_record("waiting")["exchanging"]["tokens_per_second"]["solo"])
    assert measured / 2 < question.tokens_per_second <= measured
