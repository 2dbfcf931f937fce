"""The reference of the metrics, from the collector itself."""

from collections.abc import Iterator
from dataclasses import replace

from prometheus_client.core import Metric

from handbook.specimen import specimen
from peer.telemetry.histogram import Histogram
from peer.telemetry.metrics import PeerCollector
from peer.telemetry.statistics import PeerStatistics


def families() -> Iterator[Metric]:
    """Yield every metric that a peer can show."""
    snapshot = replace(specimen(PeerStatistics), exchange_seconds=Histogram().statistics())
    yield from PeerCollector(lambda: snapshot).collect()


def metrics() -> str:
    """Return the table of metrics."""
    rows = [
        f"| `{_name(each)}` | {each.type} | {_labels(each)} | {each.documentation} |" for each in families()
    ]
    return "\n".join(["| metric | type | labels | |", "|---|---|---|---|", *rows])


def _name(family: Metric) -> str:
    return {"counter": f"{family.name}_total", "info": f"{family.name}_info"}.get(family.type, family.name)


def _labels(family: Metric) -> str:
    names = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
    return ", ".join(f"`{name}`" for name in names)
