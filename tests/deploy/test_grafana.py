"""The boards' files are what their source says, and whole by Grafana's rules, as far as we know them."""

import json
import re
from pathlib import Path

import pytest

from deploy.grafana.__main__ import BOARDS, FOLDER, written
from deploy.grafana.layout import COLUMNS, SOURCE

ROOT = Path(__file__).parents[2]
GOLDEN = (ROOT / "tests" / "peer" / "telemetry" / "golden_metrics.txt").read_text()
RECORDING = (ROOT / "deploy" / "prometheus" / "rules" / "recording.yml").read_text()
NOT_OURS = {"process_resident_memory_bytes", "ALERTS"}


def _texts():
    return {name: (FOLDER / f"{name}.json").read_text() for name in BOARDS}


@pytest.mark.parametrize("name", BOARDS)
def test_the_file_is_in_step_with_its_source(name):
    assert _texts()[name] == written(BOARDS[name]), "run python -m deploy.grafana"


@pytest.mark.parametrize("name", BOARDS)
def test_panels_fill_their_rows_and_none_covers_another(name):
    panels = json.loads(_texts()[name])["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < COLUMNS
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(len(panel["description"]) > 10 and panel["datasource"] == SOURCE for panel in panels)


@pytest.mark.parametrize("name", BOARDS)
def test_queries_read_metrics_that_there_are(name):
    families = set(re.findall(r"^(murmuration_\w+)[{ ]", GOLDEN, re.MULTILINE))
    recorded = set(re.findall(r"- record: (\S+)", RECORDING))
    expressions = "\n".join(query.expression for panel in BOARDS[name].panels for query in panel.queries)
    read = set(re.findall(r"(?:\b\w+:)?\bmurmuration_\w+(?::\w+)?", expressions))
    assert read
    assert read <= families | recorded


def test_the_datasource_is_provisioned_under_the_name_that_panels_use():
    text = (ROOT / "deploy" / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text()
    assert f"uid: {SOURCE['uid']}\n" in text
