"""The screen at every size, and what is on it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from peer.telemetry.events import ExchangeFailed, PeerSeen
from peer.watch.lines import ASCII, UNICODE
from peer.watch.screen import screen
from peer.watch.seen import Seen
from protocol.control import Transfer
from tests.peer.daemon.controls import DETAIL, PARTNER, detail
from tests.peer.watch.test_lines import HOSTILE

EVENTS = (
    PeerSeen(time=0.0, peer=PARTNER),
    ExchangeFailed(time=1.0, partner=PARTNER, outer_step=1, reason=HOSTILE),
)
SEEN = Seen(DETAIL, EVENTS, keys="q quit")


def _shown(seen=SEEN, width=80, height=24, glyphs=UNICODE):
    return "\n".join(line.plain.rstrip() for line in screen(seen, width, height, glyphs))


def test_80_by_24_shows_everything():
    shown = _shown()
    for words in (
        "TRAINING",
        "12D3..Myg8 in tiny: noloco, int8",
        "up 12 min 5 s",
        "loss 2.500 nats a token",
        "inner step 120, each 0.2 s",
        "outer step 6, every 20",
        "in 4.2 s",
        "12,346 tokens/s",
        "5 exchanged, 1 failed, 1 skipped",
        "12D3..aB3f   10.0 s   0.8 s   1.2 MB   1.23%",
        "failed: not done",
        "3 peers in view",
        "direct+2  1.2 MB  2.4 MB   12 ms",
        "relayed       -       -       -",
        "and 1 more",
        "← 12D3..aB3f",
        "25% 500.0 kB/s",
        "peer 12D3..aB3f is here",
        "q quit",
    ):
        assert words in shown, shown


def test_the_newest_events_and_exchanges_stay_where_there_is_little_room():
    many = tuple(PeerSeen(time=float(step), peer=f"peer-{step}") for step in range(50))
    shown = _shown(Seen(DETAIL, many))
    assert "peer-49" in shown
    assert "peer-0 " not in shown


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 60), (76, 18), (60, 20), (40, 10)])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_it_fills_the_terminal_and_no_more(width, height, glyphs):
    lines = screen(SEEN, width, height, glyphs)
    assert len(lines) == height
    assert all(cell_len(line.plain) <= width for line in lines)
    assert all(line.plain.isascii() for line in lines) or glyphs is UNICODE


@given(st.integers(1, 220), st.integers(1, 70))
def test_no_size_is_too_small(width, height):
    lines = screen(SEEN, width, height, UNICODE)
    assert len(lines) <= height
    assert all(cell_len(line.plain) <= width for line in lines)


def test_an_empty_peer_has_a_screen_too():
    empty = detail(
        losses=(), recent=(), links=(), transfers=(), next_boundary=None, loss=None, peers_in_view=0,
        seconds_per_step=None, learning_rate=None, inner_step=0, state="joining",
    )  # fmt: skip
    shown = _shown(Seen(empty))
    for words in ("JOINING", "no loss yet", "none yet", "nothing is on its way"):
        assert words in shown


def test_what_strangers_send_moves_no_cursor():
    recent = (DETAIL.recent[1],)
    hostile = detail(
        recent=tuple(_with(each, partner=HOSTILE, reason=HOSTILE) for each in recent),
        links=tuple(_with(link, peer=HOSTILE) for link in DETAIL.links),
        transfers=(Transfer(peer=HOSTILE, outward=True, size=0, moved=0, seconds=0.0),),
        run_name=HOSTILE,
    )
    for line in screen(Seen(hostile, EVENTS), 120, 40, UNICODE):
        assert line.plain.isprintable()
        assert "owned" not in line.plain or "\x1b" not in line.plain


def _with(message, **changes):
    import msgspec

    return msgspec.structs.replace(message, **changes)


def test_more_peers_than_fit_are_counted():
    crowd = detail(links=DETAIL.links[:1] * 64, peers_in_view=900)
    assert "and 899 more" in _shown(Seen(crowd)) or "and 898 more" in _shown(Seen(crowd))
