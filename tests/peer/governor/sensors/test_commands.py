import sys
import time

from peer.governor.sensors import commands
from peer.governor.sensors.commands import TRIES, Command


def test_what_a_program_says_is_returned_with_the_words_that_are_added():
    assert Command(sys.executable, "-c", "import sys; print(sys.argv[1:])").ask("a", "b") == "['a', 'b']\n"


def test_a_program_that_fails_is_given_up_until_something_changes(tmp_path):
    file = tmp_path / "times"
    command = Command(sys.executable, "-c", f"open({str(file)!r}, 'a').write('x'); raise SystemExit(1)")
    assert [command.ask() for _ in range(TRIES + 2)] == [None] * (TRIES + 2)
    assert file.read_text() == "x" * TRIES
    command.try_again()
    assert command.ask() is None
    assert file.read_text() == "x" * (TRIES + 1)


def test_a_program_that_is_not_there_says_nothing():
    assert Command("no-such-program-anywhere").ask() is None


def test_a_program_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(commands, "PATIENCE", 0.2)
    began = time.monotonic()
    assert Command(sys.executable, "-c", "import time; time.sleep(60)").ask() is None
    assert time.monotonic() - began < 20
