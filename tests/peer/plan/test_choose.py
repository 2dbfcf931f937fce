from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.plan.choose import EVERY, choose, fits
from peer.plan.question import Link, Power, Question
from peer.plan.reckon import reckon
from peer.plan.shape import shape

MODEL = shape(160e6, 32768, 2048)
FAST = Power(flops=165e12, mfu=0.3, watts=450)
HOME = Link(up=20e6 / 8, down=100e6 / 8, round_trip=0.1)
QUESTION = Question(MODEL, 32768, peers=16, tokens=3.2e9, preset="gossip", power=FAST, link=HOME)


def test_a_fast_line_needs_no_long_h_and_few_bits_cost_nothing_there():
    chosen = choose(replace(QUESTION, link=Link(1.25e9, 1.25e9, 0.001)))
    assert (chosen.every, chosen.codec) == (30, "bf16")


def test_a_slow_line_gets_a_longer_h_and_fewer_bits():
    chosen = choose(QUESTION)
    assert chosen.every > 100
    assert chosen.codec == "modulo"
    assert fits(QUESTION, reckon(QUESTION, chosen))


def test_bytes_a_month_are_kept_under_a_limit():
    limited = replace(QUESTION, monthly=1.2e12, power=replace(FAST, flops=30e12))
    free = reckon(replace(limited, monthly=None), choose(replace(limited, monthly=None)))
    plan = reckon(limited, choose(limited))
    assert plan.traffic.month_bytes <= 1.2e12 < free.traffic.month_bytes


def test_where_nothing_fits_the_nearest_is_chosen():
    hopeless = replace(QUESTION, link=Link(1e4, 1e4, 0.1))
    chosen = choose(hopeless)
    assert (chosen.every, chosen.bits) == (EVERY[-1], 3)
    assert not fits(hopeless, reckon(hopeless, chosen))


def test_without_a_device_the_usual_is_chosen():
    chosen = choose(replace(QUESTION, power=None))
    assert (chosen.every, chosen.codec, chosen.bits) == (50, "modulo", 4)


def test_batch_steps_and_tokens_go_together():
    chosen = choose(QUESTION)
    trained = chosen.steps * chosen.batch * MODEL.context * 16
    assert trained == pytest.approx(3.2e9, rel=0.001)
    assert chosen.warmup <= chosen.steps // 10


def test_diloco_waits_and_so_gets_a_longer_h_than_it_needs_for_its_line():
    question = replace(QUESTION, preset="diloco", link=Link(1e8, 1e8, 0.1))
    plan = reckon(question, choose(question))
    assert plan.traffic.line_busy <= 0.1
    assert plan.pace.tokens_per_second < question.tokens_per_second
    assert choose(question).beta == 0.8


@settings(max_examples=25, deadline=None)
@given(st.floats(1e5, 1e8), st.floats(1e12, 1e15))
def test_a_faster_line_is_never_worse(up, flops):
    slow = replace(QUESTION, link=Link(up, up, 0.1), power=Power(flops, 0.3))
    fast = replace(slow, link=Link(2 * up, 2 * up, 0.1))
    losses = [reckon(each, choose(each)) for each in (slow, fast)]
    if fits(slow, losses[0]):
        assert losses[1].loss.nats <= losses[0].loss.nats + 1e-4
