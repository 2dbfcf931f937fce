"""The catalogue is whole, and programs get what the docs promise."""

import re
from pathlib import Path

import msgspec
import pytest

from peer.daemon.doctor.findings import CATALOGUE, Finding, Number, Report, found, well

ROOT = Path(__file__).parents[4]


def test_every_number_has_a_cause():
    assert set(CATALOGUE) == set(Number)
    assert all(cause for cause, _ in CATALOGUE.values())


def test_a_finding_says_what_to_do():
    finding = found("clock", Number.CLOCK, "warning", "late")
    assert finding.mend == "sudo timedatectl set-ntp true"
    assert found("disk", Number.DISK, "failure", "full", mend="make room").mend == "make room"


@pytest.mark.parametrize(
    ("level", "healthy"), [("ok", True), ("note", True), ("warning", True), ("failure", False)]
)
def test_only_a_failure_keeps_a_peer_from_training(level, healthy):
    report = Report((well("clock", "right"), found("disk", Number.DISK, level, "x", mend="y")))
    assert report.healthy is healthy
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_json_has_the_fields_that_the_docs_name():
    page = (ROOT / "docs" / "errors" / "index.md").read_text(encoding="utf-8")
    named = re.search(r'\{"findings": \[\{(.*?)\}\]\}', page, re.DOTALL)[1]
    assert tuple(re.findall(r'"(\w+)"', named)) == Finding.__struct_fields__
