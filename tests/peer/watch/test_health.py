"""What is said of a peer that is well, and of one that is not."""

import pytest
from msgspec.structs import replace

from peer.watch.health import Level, health
from peer.watch.seen import Seen
from protocol.control import Joining, Month, Pause
from tests.peer.daemon.controls import DETAIL, detail

BLENDER = Pause(kind="gpu", reason="GPU 0 is used by blender (pid 4242)", since=1.0)
BATTERY = Pause(kind="battery", reason="on battery", since=1.0)
MONTH = Month(name="November", used=45 * 10**9, limit=5e10)
JOINING = Joining(size=100, received=25, rate=1.0, seconds_left=75.0, donors=2)


def _said(seen_detail=DETAIL, silent=0.0):
    return [(finding.level, finding.words) for finding in health(Seen(seen_detail, silent=silent))]


def test_a_peer_that_is_well_says_so():
    assert _said(detail(reachable=True, swarm_size=5)) == [
        (Level.WELL, "3 peers in view, ~5 in all"),
        (Level.WELL, "others can dial this peer"),
        (Level.WELL, "trainer on cpu, never restarted"),
        (Level.WELL, "disk: 123.0 GB free"),
    ]


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"alone_seconds": 125.0}, Level.BAD, "ALONE for 2 min 5 s: no peer in view"),
        ({"preset": "solo", "alone_seconds": 9.0}, Level.WELL, "trains alone, as its run wants (solo)"),
        ({"torn": True}, Level.WATCH, "many peers fell silent lately: a split, or this host's line"),
        ({"splits": 1}, Level.WATCH, "met another half of the run once, and joined it"),
        ({"refused": 2}, Level.WATCH, "refused 2 shares that were not fit to mix"),
        ({"reachable": None}, Level.WELL, "nobody has tried to dial this peer yet"),
        (
            {"reachable": False, "circuits": 2},
            Level.WATCH,
            "nobody can dial this peer; reached through 2 relays; see `peer doctor`",
        ),
        ({"state": "restarting trainer"}, Level.BAD, "the trainer died and is being restarted"),
        ({"trainer_restarts": 2}, Level.WATCH, "trainer on cpu, restarted 2 times"),
        ({"disk_free": 2_000_000_000}, Level.WATCH, "disk: 2.0 GB free"),
        ({"disk_free": 500}, Level.BAD, "disk: 500 B free"),
        ({"pauses": (BLENDER, BATTERY)}, Level.WATCH, "paused: GPU 0 is used by blender (pid 4242)"),
        ({"pauses": (BLENDER, BATTERY)}, Level.WATCH, "paused: on battery"),
        (
            {"unwatched": ("max_power: nobody: tells",)},
            Level.WATCH,
            "nothing watches max_power: nobody: tells",
        ),
        ({"month": MONTH}, Level.WELL, "45.0 GB of 50.0 GB of traffic in November"),
        (
            {"month": replace(MONTH, used=46 * 10**9)},
            Level.WATCH,
            "46.0 GB of 50.0 GB of traffic in November",
        ),
        ({"behind": 1234}, Level.WATCH, "catching up: 1,234 outer steps behind"),
        (
            {"joining": JOINING},
            Level.WATCH,
            "fetching the run's weights: 25%, 25 B of 100 B, 1 B/s, 1 min 15 s left",
        ),
    ],
)
def test_what_is_not_well_is_said(changes, level, words):
    assert (level, words) in _said(detail(**changes))


def test_a_daemon_that_is_silent_is_the_worst():
    assert _said(silent=12.0)[0] == (Level.BAD, "the daemon has not answered for 12.0 s")
    assert _said(silent=1.0)[0][0] is Level.WELL


def test_the_worst_comes_first():
    levels = [level for level, _ in _said(detail(trainer_restarts=1, alone_seconds=9.0), silent=9.0)]
    assert levels == sorted(levels)
