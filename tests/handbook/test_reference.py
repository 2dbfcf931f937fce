"""What is written from the code is all that the code has."""

import importlib
import pkgutil
import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import msgspec
import pytest
import typer

import protocol
from handbook.fields import fields_of, table
from handbook.generated import GENERATED
from handbook.metrics import families
from handbook.specimen import specimen
from peer.cli.main import app
from peer.config.schema import KEYS
from peer.telemetry.events import AnyEvent
from protocol.manifest import Inner
from protocol.presets import PRESETS

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "peer" / "telemetry" / "golden_metrics.txt"


@pytest.mark.parametrize("name", GENERATED)
def test_every_part_is_asked_for_and_its_tables_are_even(name):
    asked = [
        page
        for page in (ROOT / "docs").rglob("*.md")
        if f"<!-- generated: {name} -->" in page.read_text("utf-8")
    ]
    assert len(asked) == 1
    for block in re.findall(r"(?:^\|.*\n?)+", GENERATED[name](), re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


def test_every_command_and_option_is_told():
    told = GENERATED["commands"]()
    for name, command in vars(typer.main.get_command(app))["commands"].items():
        section = told.partition(f"## peer {name}\n")[2].partition("\n## ")[0]
        assert section
        for parameter in command.params:
            assert f"`{parameter.opts[0]}`" in section
    assert "`noloco`, `gossip`" in told


def test_every_metric_is_told():
    told = GENERATED["metrics"]()
    shown = set(re.findall(r"^# HELP (\w+) ", GOLDEN.read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"^\| `(\w+)`", told, re.MULTILINE)) == shown
    assert len(list(families())) == len(shown)


def test_every_event_is_told():
    told = GENERATED["events"]()
    assert set(re.findall(r"^### (\w+)", told, re.MULTILINE)) == {
        kind.__name__ for kind in get_args(AnyEvent)
    }


def test_every_message_is_told():
    told = GENERATED["swarm-messages"]() + GENERATED["local-messages"]()
    names = set(re.findall(r"^### (\w+)", told, re.MULTILINE))
    for found in pkgutil.iter_modules(protocol.__path__):
        module = importlib.import_module(f"protocol.{found.name}")
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, msgspec.Struct) and thing.__struct_config__.tag:
                assert thing.__name__ in names, module


def test_every_key_and_preset_is_told():
    told = GENERATED["run-file"]()
    assert len(re.findall(r"^\| `", told, re.MULTILINE)) == len(KEYS)
    assert all(f"`{name}`" in GENERATED["presets"]() for name in PRESETS)


def test_fields_are_read_with_their_bounds_and_meanings():
    batch = {field.name: field for field in fields_of(Inner)}["batch"]
    assert (batch.kind, batch.default) == ("int, ≥ 1, ≤ 65536", "8")
    assert batch.meaning == "Sequences of one inner step."
    assert table([]) == "It has no fields."


def test_a_specimen_is_whole_or_none():
    @dataclass(frozen=True)
    class Good:
        numbers: tuple[int, ...]
        names: dict[str, float]
        maybe: str | None

    @dataclass(frozen=True)
    class Odd:
        what: complex

    assert specimen(Good) == Good((0,), {"x": 0.0}, "x")
    with pytest.raises(TypeError, match="complex"):
        specimen(Odd)
