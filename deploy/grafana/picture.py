"""Draws a board from a running Prometheus, without Grafana: for the documentation, and for a quick look.

python -m deploy.grafana.picture swarm board.png --prometheus http://127.0.0.1:9090 --minutes 10
"""

import argparse
import hashlib
import json
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.grafana.__main__ import BOARDS
from deploy.grafana.layout import Board, Panel, Query

POINTS = 150
INCH = 0.9
"""Of one of the 24 columns."""


@dataclass(frozen=True, slots=True)
class Source:
    """A Prometheus, what to look at in it, and since when (seconds since 1970)."""

    url: str
    chosen: dict[str, str]
    since: float
    until: float

    def over_time(self, query: Query) -> list[dict[str, Any]]:
        """Return a query's series over the whole time."""
        step = max((self.until - self.since) / POINTS, 1.0)
        return self._ask("query_range", query, start=self.since, end=self.until, step=step)

    def now(self, query: Query) -> list[dict[str, Any]]:
        """Return a query's series at the end of it."""
        return self._ask("query", query, time=self.until)

    def _ask(self, path: str, query: Query, **arguments: float) -> list[dict[str, Any]]:
        expression = query.expression.replace("$__rate_interval", "1m")
        for name, value in self.chosen.items():
            expression = expression.replace(f"${name}", value)
        told = urllib.parse.urlencode({"query": expression, **arguments})
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{told}", timeout=30) as answer:  # noqa: S310
            return json.load(answer)["data"]["result"]  # type: ignore[no-any-return]


def digest(board: Board) -> str:
    """Return what names the panels of a board: with others it is another picture."""
    panels = [[(panel.title, panel.kind, panel.unit, panel.queries) for panel in row] for row in _rows(board)]
    return hashlib.sha256(repr(panels).encode()).hexdigest()[:16]


def _rows(board: Board) -> list[list[Panel]]:
    """Return the rows of a picture: tables are left out."""
    rows = [[panel for panel in row if panel.kind != "table"] for row in board.rows]
    return [row for row in rows if row]


def draw(board: Board, source: Source, file: Path) -> None:
    """Write the board's numbers and lines as one PNG, which keeps of which panels it is."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    rows = _rows(board)
    heights = [2.2 if row[0].kind == "stat" else 6.0 for row in rows]
    figure = plt.figure(figsize=(24 * INCH, sum(heights) * INCH), layout="constrained", facecolor="white")
    figure.suptitle(board.title, x=0.01, ha="left", fontsize=18)
    parts: Any = figure.subfigures(len(rows), 1, height_ratios=heights)
    for row, part in zip(rows, parts, strict=True):
        for panel, axes in zip(row, part.subplots(1, len(row), squeeze=False)[0], strict=True):
            axes.set_title(panel.title, loc="left", fontsize=11)
            if panel.kind == "stat":
                _number(axes, panel, source)
            else:
                _lines(axes, panel, source)
    figure.savefig(file, format="png", dpi=60, metadata={"Description": f"panels {digest(board)}"})
    plt.close(figure)


def _number(axes: Any, panel: Panel, source: Source) -> None:  # noqa: ANN401 - matplotlib has no types
    found = source.now(panel.queries[0])
    text = "no data"
    if found:
        value = float(found[0]["value"][1])
        text = found[0]["metric"].get("state") or f"{value:,.{panel.decimals or 0}f}"
    axes.text(0.02, 0.4, text, fontsize=22, transform=axes.transAxes)
    axes.set_axis_off()


def _lines(axes: Any, panel: Panel, source: Source) -> None:  # noqa: ANN401
    for query in panel.queries:
        for series in source.over_time(query):
            times = [datetime.fromtimestamp(at, UTC) for at, _ in series["values"]]
            values = [_scaled(float(value), panel.unit) for _, value in series["values"]]
            axes.plot(times, values, linewidth=1.2, label=_called(query, series["metric"]))
    axes.set_ylabel({"percentunit": "%", "decbytes": "GB", "Bps": "kB/s", "s": "s"}.get(panel.unit, ""))
    axes.grid(alpha=0.3)
    axes.tick_params(axis="x", labelrotation=30, labelsize=8)
    if axes.lines:
        axes.legend(fontsize=7, ncols=2, loc="upper left")


def _scaled(value: float, unit: str) -> float:
    return value * {"percentunit": 1e2, "decbytes": 1e-9, "Bps": 1e-3}.get(unit, 1.0)


def _called(query: Query, labels: dict[str, str]) -> str:
    text = query.legend
    for name, value in labels.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    return text


def _chosen(url: str, run: str | None, peer: str | None) -> dict[str, str]:
    """Take the first run and peer that there are, where none is named."""
    at = time.time()
    infos = Source(url, {}, at, at).now(Query("murmuration_peer_info"))
    if not infos:
        raise SystemExit(f"{url} knows no peer")
    first = min((info["metric"] for info in infos), key=lambda labels: labels["instance"])
    return {"run": run or first["run_id"], "peer": peer or first["instance"]}


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("board", choices=BOARDS)
    parser.add_argument("file", type=Path)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", metavar="URL")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--run", help="a run's id; default: any")
    parser.add_argument("--peer", help="HOST:PORT of its metrics; default: any")
    wanted = parser.parse_args()
    until = time.time()
    chosen = _chosen(wanted.prometheus, wanted.run, wanted.peer)
    source = Source(wanted.prometheus, chosen, until - 60 * wanted.minutes, until)
    draw(BOARDS[wanted.board], source, wanted.file)


if __name__ == "__main__":
    main()
