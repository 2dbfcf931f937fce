"""Every picture is of the data that stand in the records now, and every one that a page shows exists."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("matplotlib")

from handbook.pictures.draw import FOLDER, PICTURES, digest, save

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_of_todays_data(name):
    kept = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert f"data {digest(name)}" in kept, "draw it again: python -m handbook.pictures"


def test_every_picture_is_shown_and_none_is_missing():
    shown = {
        name
        for page in DOCS.rglob("*.md")
        for name in re.findall(r"pictures/([\w-]+)\.svg", page.read_text("utf-8"))
    }
    assert set(PICTURES) <= shown
    assert {path.stem for path in FOLDER.glob("*.svg")} >= shown


def test_a_picture_is_drawn_again_with_its_text_as_text(tmp_path):
    path = save("rules", tmp_path)
    words = "".join(ET.parse(path).getroot().itertext())
    assert "gossip" in words
    assert f"data {digest('rules')}" in words
