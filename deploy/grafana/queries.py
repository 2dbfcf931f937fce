"""What both boards write their queries and panels with."""

from deploy.grafana.layout import Panel, Query

PERCENT, BYTES, RATE, SECONDS = "percentunit", "decbytes", "Bps", "s"


def of_run(expression: str) -> str:
    """Keep the series of the chosen run: only `murmuration_peer_info` names it."""
    return f'{expression} * on (job, instance) group_left (run_id) murmuration_peer_info{{run_id="$run"}}'


def of_peer(metric: str, labels: str = "") -> str:
    """Keep the series of the chosen peer."""
    return f'{metric}{{instance="$peer"{", " + labels if labels else ""}}}'


def rate_of_peer(metric: str, labels: str = "") -> str:
    """Return how fast a counter of the chosen peer grows."""
    return f"rate({of_peer(metric, labels)}[$__rate_interval])"


def grown(metric: str) -> str:
    """Return by how much a counter of the chosen peer grew."""
    return f"increase({of_peer(metric)}[$__rate_interval])"


def or_none(expression: str, label: str) -> str:
    """Show a zero where there is no series at all: nobody skipped, nobody was refused."""
    return f'{expression} or on () label_replace(vector(0), "{label}", "none", "", "")'


def stat(title: str, expression: str, text: str, unit: str = "none", *, decimals: int | None = None) -> Panel:
    """Return a panel with one number."""
    return Panel(title, (Query(expression),), text, unit, "stat", decimals)


def each_peer(title: str, metric: str, text: str, unit: str = "none") -> Panel:
    """Return a panel with a line for every peer of the run."""
    return Panel(title, (Query(of_run(metric), "{{instance}}"),), text, unit)


def quantiles(buckets: str) -> tuple[Query, Query]:
    """Return what half, and 19 of 20, observations of a rate of buckets stay below."""
    return (
        Query(f"histogram_quantile(0.5, sum by (le) ({buckets}))", "half of them, up to"),
        Query(f"histogram_quantile(0.95, sum by (le) ({buckets}))", "19 of 20, up to"),
    )
