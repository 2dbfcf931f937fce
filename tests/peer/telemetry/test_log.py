import io
import json
import time

import pytest

from peer.telemetry.event_file import EventFile, read_events
from peer.telemetry.events import Skipped
from peer.telemetry.log import Log, text_line, text_lines
from tests.peer.telemetry.test_events import USES

EVENT = Skipped(time=1_700_000_000.0, outer_step=3, reason="everybody is \x1b[31mbusy")


@pytest.fixture
def write(tmp_path):
    """Log one event and return what stands on the terminal and in the file."""

    def write(log_format, stream):
        with EventFile(tmp_path / "events.log") as file:
            Log(file, stream, log_format)(EVENT)
        return list(read_events(tmp_path / "events.log"))

    return write


def test_text_is_the_local_time_and_what_happened(write, monkeypatch):
    monkeypatch.setenv("TZ", "XXX-02:00")
    time.tzset()
    stream = io.StringIO()
    try:
        assert write("text", stream) == [EVENT]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert stream.getvalue() == "00:13:20 outer step 3 skipped its mix: everybody is ?[31mbusy\n"


def test_json_is_the_line_of_the_file(write, tmp_path):
    stream = io.StringIO()
    write("json", stream)
    assert stream.getvalue() == (tmp_path / "events.log").read_text()
    assert json.loads(stream.getvalue())["event"] == "skipped"


def test_what_has_more_to_say_says_it_below_and_only_to_people(tmp_path):
    for log_format, lines in (("text", 4), ("json", 1)):
        stream = io.StringIO()
        with EventFile(tmp_path / log_format) as file:
            Log(file, stream, log_format)(USES)
        found = stream.getvalue().splitlines()
        assert len(found) == lines
        assert all(line.startswith(" " * 9) for line in found[1:])
        assert max(map(len, found)) <= 80 or log_format == "json"
    assert text_line(USES).count("\n") == 0


class _HungUp(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


@pytest.mark.parametrize("stream", [_HungUp(), io.TextIOWrapper(io.BytesIO(), encoding="ascii")])
def test_a_terminal_that_takes_nothing_costs_no_event(write, stream):
    stream.close()
    assert write("text", stream) == [EVENT]
    assert write("text", _HungUp()) == [EVENT, EVENT]


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_stays_below_the_log_and_goes_when_it_is_taken_away(tmp_path):
    terminal = _Terminal()
    with EventFile(tmp_path / "events.log") as file:
        log = Log(file, terminal, "text")
        log.progress("10%")
        log.progress("20%")
        log(EVENT)
        log.progress(None)
        log(USES)
    clear, first, last = "\r\x1b[K", text_line(EVENT), text_lines(USES)
    assert terminal.getvalue() == f"10%{clear}20%{clear}{first}\n20%{clear}{last}\n"


@pytest.mark.parametrize(("log_format", "stream"), [("json", _Terminal()), ("text", io.StringIO())])
def test_progress_is_for_people_at_a_terminal(tmp_path, log_format, stream):
    with EventFile(tmp_path / "events.log") as file:
        log = Log(file, stream, log_format)
        log.progress("10%")
        log.progress(None)
    assert not stream.getvalue()


def test_a_person_reads_once_that_nobody_is_here(tmp_path):
    """A peer alone skips each of its outer steps; the file has every one."""
    alone = [Skipped(outer_step=step, reason="nobody else is here") for step in range(3)]
    busy = Skipped(outer_step=4, reason="everybody is busy")
    stream = io.StringIO()
    with EventFile(tmp_path / "events.log") as file:
        log = Log(file, stream, "text")
        for event in (*alone, busy, *alone):
            log(event)
    assert [line.partition(": ")[2] for line in stream.getvalue().splitlines()] == [
        "nobody else is here",
        "everybody is busy",
        "nobody else is here",
    ]
    assert len(list(read_events(tmp_path / "events.log"))) == 7
