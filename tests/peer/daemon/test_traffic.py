"""Bytes by the month, over restarts."""

import json
from datetime import date

import pytest

from peer.daemon.traffic import DAY, KEPT, SAVED_EVERY, Traffic, add
from peer.governor.readings import MonthUse

NOVEMBER, DECEMBER, JANUARY = date(2026, 11, 30), date(2026, 12, 1), date(2027, 1, 31)


def test_a_month_adds_up_and_the_next_begins_anew(tmp_path):
    traffic = Traffic(tmp_path, NOVEMBER)
    assert traffic.note(100, NOVEMBER) == MonthUse(100, "November", "1 December", DAY)
    assert traffic.note(250, NOVEMBER).used == 250
    assert traffic.note(300, DECEMBER) == MonthUse(50, "December", "1 January", 31 * DAY)
    assert traffic.note(300, JANUARY) == MonthUse(0, "January", "1 February", DAY)


def test_it_goes_on_after_a_restart_with_counters_that_begin_at_0(tmp_path):
    first = Traffic(tmp_path, NOVEMBER)
    first.note(100, NOVEMBER)
    first.note(130, NOVEMBER)
    first.save(0.0)
    again = Traffic(tmp_path, NOVEMBER)
    assert again.use(NOVEMBER).used == 130
    assert again.note(20, NOVEMBER).used == 150
    assert Traffic(tmp_path, DECEMBER).use(DECEMBER).used == 0


def test_it_is_written_now_and_then_so_that_a_kill_costs_little(tmp_path):
    traffic = Traffic(tmp_path, NOVEMBER)
    assert not traffic.due(0.0), "nothing has moved"
    traffic.note(100, NOVEMBER)
    assert traffic.due(0.0)
    traffic.save(0.0)
    assert not traffic.due(SAVED_EVERY), "nothing more has moved"
    traffic.note(200, NOVEMBER)
    assert [traffic.due(SAVED_EVERY - 1), traffic.due(SAVED_EVERY)] == [False, True]
    assert Traffic(tmp_path, NOVEMBER).use(NOVEMBER).used == 100


def test_a_clock_that_is_wrong_for_a_while_forgets_no_month(tmp_path):
    traffic = Traffic(tmp_path, NOVEMBER)
    traffic.note(100, NOVEMBER)
    traffic.save(0.0)
    after_boot = Traffic(tmp_path, date(2026, 3, 1))
    assert after_boot.note(10, date(2026, 3, 1)).used == 10
    after_boot.save(0.0)
    again = Traffic(tmp_path, date(2026, 3, 1))
    assert again.note(5, NOVEMBER).used == 105
    again.save(0.0)
    assert list(json.loads((tmp_path / "traffic.json").read_text())) == ["2026-03", "2026-11"]
    for month in range(1, 13):
        again.note(5, date(2030, month, 1))
    again.save(0.0)
    assert len(json.loads((tmp_path / "traffic.json").read_text())) == KEPT


@pytest.mark.parametrize("text", [b"", b"{}", b'{"2026-11": -5}', b"\xff", b"[" * 10_000])
def test_a_damaged_file_is_as_good_as_none(tmp_path, text):
    (tmp_path / "traffic.json").write_bytes(text)
    assert Traffic(tmp_path, NOVEMBER).use(NOVEMBER).used == 0


def test_a_disk_that_refuses_costs_the_memory_alone(tmp_path):
    (tmp_path / "traffic.json").mkdir()
    traffic = Traffic(tmp_path, NOVEMBER)
    assert traffic.note(100, NOVEMBER).used == 100
    traffic.save(0.0)
    assert (traffic.use(NOVEMBER).used, traffic.failures) == (100, 1)
    assert traffic.due(SAVED_EVERY), "it is tried again"


def test_what_moves_while_no_daemon_counts_is_added(tmp_path):
    add(tmp_path, 100, NOVEMBER)
    add(tmp_path, 50, NOVEMBER)
    assert Traffic(tmp_path, NOVEMBER).use(NOVEMBER).used == 150
