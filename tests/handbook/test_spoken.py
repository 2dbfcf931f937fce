"""What the pages tell people to type is what there is."""

import re
from pathlib import Path

import pytest
import typer

from peer.cli.main import app

DOCS = Path(__file__).parents[2] / "docs"
COMMANDS = dict(vars(typer.main.get_command(app))["commands"])


def _spoken(page):
    """Every `peer ...` in code spans and on the lines of code blocks, as (command, options)."""
    text = page.read_text(encoding="utf-8")
    code = [*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^    (.+)$", text, re.MULTILINE)]
    for part in (part for line in code for part in line.split("&&")):
        if match := re.match(r"(?:\.venv/bin/)?peer ([a-z]\w*)(.*)", part.strip()):
            yield match[1], re.findall(r"(?<=\s)--[a-z][a-z-]+", match[2])


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_every_command_and_option_that_is_named_exists(page):
    for name, options in _spoken(page):
        assert name in COMMANDS, f"peer {name}"
        known = {option for each in COMMANDS[name].params for option in (*each.opts, *each.secondary_opts)}
        assert set(options) <= known, f"peer {name} {options}"
