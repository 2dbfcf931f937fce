"""The catalogue is whole, and each number has its page."""

import re
from pathlib import Path

import msgspec
import pytest

from peer.daemon.doctor.findings import CATALOGUE, PAGE, Finding, Number, Report, found, well

ROOT = Path(__file__).parents[4]


def test_every_number_has_a_cause_and_a_page():
    assert set(CATALOGUE) == set(Number)
    assert all(cause for cause, _ in CATALOGUE.values())
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    anchors = [int(number) for number in re.findall(r'<a id="(\d+)"></a>\n## \1: ', page)]
    assert anchors == sorted(Number)


def test_a_finding_says_what_to_do():
    finding = found("clock", Number.CLOCK, "warning", "late")
    assert finding.mend == "sudo timedatectl set-ntp true"
    assert finding.page == "deploy/doctor.md#101"
    assert found("disk", Number.DISK, "failure", "full", mend="make room").mend == "make room"
    assert well("clock", "right").page == ""


@pytest.mark.parametrize(
    ("level", "healthy"), [("ok", True), ("note", True), ("warning", True), ("failure", False)]
)
def test_only_a_failure_keeps_a_peer_from_training(level, healthy):
    report = Report((well("clock", "right"), found("disk", Number.DISK, level, "x", mend="y")))
    assert report.healthy is healthy
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_json_has_the_fields_that_the_docs_name():
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    named = re.search(r'\{"findings": \[\{(.*?)\}\]\}', page, re.DOTALL)[1]
    assert tuple(re.findall(r'"(\w+)"', named)) == Finding.__struct_fields__
