"""Turns between two threads, and jobs beside training."""

import threading
import time

import pytest

from peer.trainer.beside import Beside, Turns


def test_a_turn_is_free_where_nobody_trains():
    with Turns().between_steps():
        pass


def test_who_asks_gets_the_turn_at_the_next_give_and_the_loop_waits_for_its_end():
    turns, done, landed = Turns(), threading.Event(), []

    def land():
        with turns.between_steps():
            landed.append("begun")
            assert done.wait(30)
            landed.append("ended")

    with turns.training():
        thread = threading.Thread(target=land)
        thread.start()
        while not turns.wanted:
            pass
        assert landed == []
        done.set()
        turns.give()
        assert landed == ["begun", "ended"]
    thread.join()


def test_a_loop_that_never_rests_starves_nobody():
    turns, landed = Turns(), []

    def land():
        for number in range(100):
            with turns.between_steps():
                landed.append(number)

    thread = threading.Thread(target=land)
    with turns.training():
        thread.start()
        while len(landed) < 100:
            turns.give()
    thread.join()


def test_nothing_lands_while_the_loop_works():
    turns, inside, overlaps = Turns(), [], []

    def land():
        for _ in range(200):
            with turns.between_steps():
                overlaps.extend(inside)

    thread = threading.Thread(target=land)
    with turns.training():
        thread.start()
        while thread.is_alive():
            inside.append("a step")
            time.sleep(0)
            inside.pop()
            turns.give()
    assert overlaps == []


def test_jobs_are_done_in_order_and_what_one_raises_comes_out_once():
    beside, done = Beside(), []
    for number in range(20):
        beside.submit(lambda number=number: done.append(number))
    beside.finish()
    assert done == list(range(20))
    beside.submit(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        beside.finish()
    beside.check()
    beside.close()


def test_closing_waits_for_the_job_under_way_and_drops_the_others():
    beside, begun, submitted, done = Beside(), threading.Event(), threading.Event(), []

    def first():
        begun.set()
        assert submitted.wait(30)
        while not second.cancelled():
            pass
        done.append("first")

    beside.submit(first)
    beside.submit(lambda: done.append("second"))
    second = beside._jobs[-1]
    submitted.set()
    assert begun.wait(30)
    beside.close()
    assert done == ["first"]
