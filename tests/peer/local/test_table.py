import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from peer.local.processes import LocalPeer
from peer.local.table import line, table
from tests.peer.daemon.controls import STATUS, status


@pytest.fixture
def peers():
    """One trains with the second, which has ended well; the third failed before it said a word."""
    made = [
        LocalPeer(
            "peer-0", Path("0"), _process("input()"), status(peer_id="a", partner="b", bytes_out=25_900_000)
        ),
        LocalPeer("peer-1", Path("1"), _process(""), status(peer_id="b", state="training", loss=None)),
        LocalPeer("peer-2", Path("2"), _process("exit(3)"), None),
    ]
    for peer in made[1:]:
        peer.process.wait(30)
    yield made
    for peer in made:
        peer.process.communicate()


def _process(code):
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _rows(peers, width=120):
    console = Console(file=io.StringIO(), width=width)
    console.print(table(peers, 41.4, 200))
    return console.file.getvalue().splitlines()


def _cells(row):
    return re.split(r"  +", row.strip())


def test_every_peer_has_its_row(peers):
    title, *rows = _rows(peers)
    assert title.strip() == "3 peers, 200 inner steps each, 41 s"
    cells = {cells[0]: cells[1:] for row in rows if (cells := _cells(row)) and cells[0].startswith("peer-")}
    assert cells["peer-0"] == ["training", "120", "2.500", "12,346", "peer-1", "5", "1", "25.9 MB"]
    assert cells["peer-1"] == ["done", "120", "-", "12,346", "-", "5", "1", "2.0 MB"]
    assert cells["peer-2"] == ["failed", *["-"] * 7]


def test_it_fits_a_terminal_of_80_columns_and_does_not_jump(peers):
    peers[0].status = status(peer_id="a", partner="b", inner_step=99_999, bytes_out=999_900_000)
    _, head, first, *_ = _rows(peers, width=80)
    assert _cells(head) == [
        *("peer", "state", "step", "loss", "tokens/s", "partner", "exchanges", "skips", "sent"),
    ]
    assert _cells(first)[-1] == "999.9 MB"
    assert head.index("exchanges") == _rows(peers[2:], width=80)[1].index("exchanges")


def test_a_peer_that_has_not_answered_yet_is_starting(peers):
    peers[0].status = None
    assert any("starting" in row for row in _rows(peers))


def test_a_peer_that_was_told_to_end_is_not_done(peers):
    peers[1].status = status(state="stopping")
    assert any("stopped" in row for row in _rows(peers))


def test_a_partner_from_elsewhere_has_no_name_here(peers):
    peers[0].status = status(partner="12D3KooWelsewhere")
    assert not any("12D3" in row for row in _rows(peers))


def test_a_line_tells_how_far_every_peer_is_that_has_a_loss(peers):
    assert line(peers, 41.4) == "   41 s  peer-0 step 120 loss 2.500 exchanges 5 skips 1"
    peers[1].status = STATUS
    assert line(peers, 7).count(";") == 1


def test_a_line_before_the_first_loss_says_so(peers):
    assert line(peers[1:], 2) == "    2 s  starting"
