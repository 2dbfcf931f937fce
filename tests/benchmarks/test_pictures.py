"""The pictures of `peer top` are drawn, and those in the docs are of the screen that there is."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.pictures import PICTURES, draw
from peer.telemetry.events import PeerSeen
from peer.watch.seen import Seen
from tests.peer.daemon.controls import DETAIL, PARTNER

NAMES = ("top", "top-large", "top-monochrome")
WORDS = (
    "loss",
    "inner step",
    "outer step",
    "next one",
    "speed",
    "learn rate",
    "traffic",
    "health",
    "exchanged",
    "in view",
    "transfers",
    "events",
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    draw(Seen(DETAIL, (PeerSeen(time=0.0, peer=PARTNER),)), folder)
    return folder


def _words(path: Path) -> str:
    """What stands in a picture, blanks as blanks."""
    return "".join(ET.parse(path).getroot().itertext()).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("name", NAMES)
def test_a_look_is_drawn(drawn, name):
    words = _words(drawn / f"{name}.svg")
    for each in ("TRAINING", "12D3..Myg8 in tiny: noloco, int8", "loss 2.500 nats a token", "q quit"):
        assert each in words
    assert "@font-face" not in (drawn / f"{name}.svg").read_text("utf-8"), "the docs ask no other server"


def test_only_one_is_without_colours(drawn):
    colours = {
        name: set(re.findall(r"fill: (#[0-9a-f]{6})", (drawn / f"{name}.svg").read_text("utf-8")))
        for name in NAMES
    }
    grey = {name: all(len(set(re.findall("..", each[1:]))) == 1 for each in colours[name]) for name in NAMES}
    assert grey == {"top": False, "top-large": False, "top-monochrome": True}


@pytest.mark.parametrize("name", NAMES)
def test_the_docs_show_the_names_that_the_screen_has_now(drawn, name):
    kept, now = _words(PICTURES / f"{name}.svg"), _words(drawn / f"{name}.svg")
    assert len(_heads(now)) == 2
    assert _heads(kept) == _heads(now), "draw it again: python -m benchmarks.pictures"
    shown = [each for each in WORDS if each in now]
    assert len(shown) >= len(WORDS) - 1, "a small terminal has no room for the traffic"
    assert [each for each in WORDS if each in kept] == shown, "draw it again: python -m benchmarks.pictures"


def _heads(words: str) -> list[str]:
    """What stands above the columns of both tables."""
    return re.findall(r"partner +ago +took +size +apart|peer +way +in/s +out/s +trip", words)
