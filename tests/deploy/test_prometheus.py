"""The rules are checked and tested by Prometheus' own tool; that they speak of what is there, here."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = {path.stem: path.read_text() for path in (PROMETHEUS / "rules").glob("*.yml")}
GOLDEN = (ROOT / "tests" / "peer" / "telemetry" / "golden_metrics.txt").read_text()
PROMTOOL = shutil.which("promtool")


def _promtool(*arguments):
    if PROMTOOL is None:
        pytest.skip("promtool is not installed (apt install prometheus)")
    return subprocess.run(
        [PROMTOOL, *arguments], capture_output=True, text=True, timeout=60, check=False, cwd=PROMETHEUS
    )


def test_the_configuration_and_the_rules_are_valid():
    done = _promtool("check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(RULES)} rule files found" in done.stdout


@pytest.mark.parametrize("name", sorted(RULES))
def test_the_rules_do_what_their_tests_say(name):
    done = _promtool("test", "rules", f"tests/{name}.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def _alerts():
    return re.findall(r"- alert: (\w+)\n(.*?)(?=- alert|\Z)", RULES["alerts"], re.DOTALL)


@pytest.mark.parametrize(("name", "rule"), _alerts(), ids=[name for name, _ in _alerts()])
def test_each_alert_is_tested_and_has_a_page(name, rule):
    assert f"alertname: {name}\n" in (PROMETHEUS / "tests" / "alerts.yml").read_text()
    page = re.search(r"runbook: (\S+)$", rule, re.MULTILINE)
    assert page, "no runbook"
    text = (ROOT / page[1]).read_text()
    assert f"`{name}`" in text
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["What it means", "Likely causes", "How to look", "How to mend"]


@pytest.mark.parametrize("name", sorted(RULES))
def test_rules_read_metrics_that_a_peer_has(name):
    families = set(re.findall(r"^(murmuration_\w+)[{ ]", GOLDEN, re.MULTILINE))
    recorded = set(re.findall(r"- record: (\S+)", RULES["recording"]))
    read = set(re.findall(r"(?:\b\w+:)?\bmurmuration_\w+(?::\w+)?", "\n".join(_expressions(RULES[name]))))
    assert read
    assert read <= families | recorded


def _expressions(text):
    """What follows `expr:`, on its line or indented below it."""
    return re.findall(r"expr: (.+(?:\n {10,}.+)*)", text)
