"""`peer top` as a person sees it: in a terminal, over two real peers that train."""

import math
import re
import signal

import pytest

from tests.processes.support import family
from tests.processes.tmux import MISSING, pane, peer

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two peers that have exchanged."""
    with family(tmp_path_factory.mktemp("top")) as members:
        first = members.found("first")
        second = members.start("second", "--bootstrap", first.address)
        for each in (first, second):
            each.wait_for("exchange_done")
        yield members


def _has(*words):
    return lambda lines: all(any(word in line for line in lines) for word in words)


def _step(lines):
    found = re.search(r"inner step ([\d,]+)", "\n".join(lines))
    return int(found[1].replace(",", "")) if found else 0


def _first_of_curve(lines):
    found = re.search(r"^ +step ([\d,]+)", "\n".join(lines), re.MULTILINE)
    return int(found[1].replace(",", "")) if found else math.inf


def test_80_by_24_shows_a_peer_that_trains_and_a_key_ends_it(two, tmp_path):
    first, second = two.members
    other = second.status()["peer_id"][-4:]
    with pane(tmp_path, peer("top", "--home", str(first.home))) as terminal:
        shown = terminal.wait_for(_has("TRAINING", "tokens/s", "1 peer in view", "exchange with", "q quit"))
        assert len(shown) == 24
        assert shown[0].lstrip().startswith("TRAINING")
        assert shown[-1].strip() == "q quit"
        assert sum(f"12D3..{other}" in line for line in shown) >= 3, "as partner, as peer, in events"
        assert _has("loss ", "pace", "health", "transfers", "events", "direct", "trainer on cpu")(shown)
        assert sum(any("\u2800" < each < "\u2900" for each in line) for line in shown) >= 2, "a curve"

        before = _step(shown)
        shown = terminal.wait_for(lambda lines: _step(lines) > before)

        terminal.resize(120, 40)
        shown = terminal.wait_for(lambda lines: len(lines) == 40 and lines[-1].strip() == "q quit")
        assert len(shown[1]) == 120, "two sections side by side, to the edge"
        assert _has("traffic")(shown)
        terminal.resize(50, 12)
        shown = terminal.wait_for(lambda lines: len(lines) == 12 and lines[-1].strip() == "q quit")
        assert max(map(len, shown)) <= 50

        terminal.type("q")
        shown = terminal.wait_for(_has("ended with 0"))
        assert not _has("TRAINING")(shown), "the terminal is as it was"


def test_ctrl_c_ends_it_too_and_the_keys_are_seen_again(two, tmp_path):
    with pane(tmp_path, peer("top", "--home", str(two.members[0].home))) as terminal:
        terminal.wait_for(_has("TRAINING"))
        terminal.press("C-c")
        terminal.wait_for(_has("ended with 130"))
        terminal.type("echo seen")
        terminal.wait_for(_has("echo seen"))


@pytest.mark.parametrize("before", ["NO_COLOR=1 ", "TERM=vt100 "])
def test_in_monochrome_there_is_no_colour_and_all_is_said_in_words(two, tmp_path, before):
    with pane(tmp_path, peer("top", "--home", str(two.members[0].home), before=before)) as terminal:
        terminal.wait_for(_has("TRAINING", "ok ", "disk: "))
        styles = set(re.findall(r"\x1b\[([\d;]*)m", "\n".join(terminal.screen(colours=True))))
        codes = {int(code) for style in styles for code in style.split(";") if code}
        assert codes <= {0, 1, 2, 7, 39, 49}


def test_a_dumb_terminal_gets_lines_and_no_cursor_moves(two, tmp_path):
    with pane(tmp_path, peer("top", "--home", str(two.members[0].home), before="TERM=dumb ")) as terminal:
        shown = terminal.wait_for(_has("state: training", "well: 1 peer in view", "exchange with"))
        assert not any(0x2500 <= ord(each) < 0x2900 for line in shown for each in line)
        terminal.press("C-c")
        terminal.wait_for(_has("ended with 130"))


def test_the_end_of_the_daemon_is_told(two, tmp_path):
    _, second = two.members
    with pane(tmp_path, peer("top", "--home", str(second.home))) as terminal:
        terminal.wait_for(_has("TRAINING"))
        assert second.end(signal.SIGTERM) == 0
        shown = terminal.wait_for(_has("ended with 0"))
        assert _has("peer top: the daemon has ended: stopped at step")(shown)
    with pane(tmp_path, peer("top", "--home", str(second.home))) as terminal:
        shown = terminal.wait_for(_has("ended with 32"))
        assert _has("peer: No daemon runs in")(shown)
    # The curve outlives the daemon: the next one shows the steps before its own, too.
    again = two.start("second")
    own = again.wait_for("trainer_started")["inner_step"]
    again.wait_for("share_ready")
    with pane(tmp_path, peer("top", "--home", str(second.home))) as terminal:
        terminal.wait_for(lambda lines: _first_of_curve(lines) < own)
