"""Turns rows of panels into the JSON that Grafana reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

SOURCE = {"type": "prometheus", "uid": "murmuration"}
"""As provisioning/datasources names it."""

COLUMNS = 24
SCHEMA = 39
"""The version of Grafana's dashboard schema: of Grafana 10 and 11."""

Kind = Literal["timeseries", "stat", "table"]
_HEIGHTS: dict[Kind, int] = {"timeseries": 8, "stat": 4, "table": 8}


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression, and what its series are called: `{{label}}` stands for a label's value."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture.

    Attributes:
        help: what it shows and what would be wrong: behind the panel's small i.
        unit: Grafana's name of a unit.
    """

    title: str
    queries: tuple[Query, ...]
    help: str
    unit: str = "none"
    kind: Kind = "timeseries"
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a board, out of a query's answers."""

    name: str
    label: str
    query: str


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard: rows of panels, each row filled from edge to edge."""

    uid: str
    title: str
    variables: tuple[Variable, ...]
    rows: tuple[tuple[Panel, ...], ...]

    @property
    def panels(self) -> list[Panel]:
        """All panels, in reading order."""
        return [panel for row in self.rows for panel in row]


def as_json(board: Board) -> dict[str, Any]:
    """Return what Grafana imports."""
    return {
        "uid": board.uid,
        "title": board.title,
        "tags": ["murmuration"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": [_alerts()]},
        "links": [_other_boards()],
        "templating": {"list": [_variable(each) for each in board.variables]},
        "panels": list(_panels(board.rows)),
    }


def _panels(rows: Sequence[Sequence[Panel]]) -> Iterator[dict[str, Any]]:
    top, number = 0, 0
    for row in rows:
        width, height = COLUMNS // len(row), max(_HEIGHTS[panel.kind] for panel in row)
        for place, panel in enumerate(row):
            number += 1
            yield _panel(panel, number) | {
                "gridPos": {"x": place * width, "y": top, "w": width, "h": height},
            }
        top += height


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    if panel.kind == "timeseries":
        defaults["custom"] = {"lineWidth": 1, "fillOpacity": 0, "showPoints": "never", "spanNulls": False}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": SOURCE,
        "targets": [_target(query, place, panel.kind) for place, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel.kind),
    } | ({"transformations": _only_labels()} if panel.kind == "table" else {})


def _target(query: Query, place: int, kind: Kind) -> dict[str, Any]:
    now = kind != "timeseries"
    return {
        "refId": chr(ord("A") + place),
        "datasource": SOURCE,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "instant": now,
        "range": not now,
        "format": "table" if kind == "table" else "time_series",
    }


def _options(kind: Kind) -> dict[str, Any]:
    match kind:
        case "timeseries":
            legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
            return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
        case "stat":
            return {"colorMode": "none", "graphMode": "none", "reduceOptions": {"calcs": ["lastNotNull"]}}
        case "table":
            return {"showHeader": True, "cellHeight": "sm"}


def _only_labels() -> list[dict[str, Any]]:
    dropped = {"Time": True, "Value": True, "__name__": True, "job": True, "run_id": True}
    return [{"id": "organize", "options": {"excludeByName": dropped}}]


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "type": "query",
        "name": variable.name,
        "label": variable.label,
        "datasource": SOURCE,
        "query": {"query": variable.query, "refId": variable.name},
        "refresh": 2,  # whenever the time range changes: peers come and go
        "sort": 1,
        "includeAll": False,
        "multi": False,
    }


def _alerts() -> dict[str, Any]:
    """Mark the time since which an alert fires."""
    return {
        "name": "Alerts",
        "enable": True,
        "datasource": SOURCE,
        "expr": 'ALERTS{alertname=~"Murmuration.*", alertstate="firing"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{instance}}",
        "iconColor": "red",
    }


def _other_boards() -> dict[str, Any]:
    return {"title": "Boards", "type": "dashboards", "tags": ["murmuration"], "includeVars": True}
