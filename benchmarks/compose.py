"""How long `docker compose up` takes until the board shows seven peers, each behind a line, that learn.

The real engine, the real Prometheus, and the board's own queries; the image is built already. Grafana, which
few machines can fetch, draws what they say and is left out.

    python -m benchmarks.compose
"""

import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.record import write_record
from deploy.grafana.__main__ import BOARDS
from tests.docker import engine
from tests.docker.swarm import FALL, LOSSES, STEADY, Swarm

GOAL = 120.0
"""Seconds until whoever opens the dashboard sees a swarm that trains."""

PATIENCE = 300.0
LOOK = 0.5
PERIOD = 15.0
"""Seconds between two readings of each peer, as Prometheus makes them there: nothing is seen sooner."""

MIXED = 'murmuration_exchanges_total{result="done"}'


class Watch:
    """What Prometheus and the board show of a swarm, against the clock."""

    def __init__(self, swarm: Swarm) -> None:
        self.asked = 0
        self.losses: list[tuple[float, float]] = []
        self._api, self._began = swarm.api, time.monotonic()
        self._first: float | None = None
        self._empty: list[str] | None = None

    def elapsed(self) -> float:
        """Return the seconds since `up`."""
        return round(time.monotonic() - self._began, 1)

    def until_all_is_seen(self) -> dict[str, float]:
        """Look until the swarm has done all that it is to do, and return when each was seen first."""
        count, value = len(STEADY), self._api.value
        pending: dict[str, Callable[[], object]] = {
            "every_peer_up": lambda: value('sum(up{job="murmuration"})') == count,
            "first_exchange": lambda: value(f"sum({MIXED})"),
            "every_peer_trains": lambda: value(f"count({LOSSES})") == count,
            "mean_loss_has_fallen": self._has_fallen,
            "every_peer_mixed": lambda: value(f"count({MIXED} > 0)") == count,
            "board_is_full": self._is_full,
        }
        seen: dict[str, float] = {}
        while pending:
            if self.elapsed() > PATIENCE:
                raise SystemExit(f"not within {PATIENCE:g} s: {', '.join(pending)}")
            self._note_the_loss()
            for name in [name for name, happened in pending.items() if happened()]:
                seen[name] = self.elapsed()
                del pending[name]
            time.sleep(LOOK)
        return seen

    def _note_the_loss(self) -> None:
        """Keep the mean loss, whenever it has become another."""
        mean = self._api.value(f"avg({LOSSES})")
        if mean is not None and (not self.losses or round(mean, 3) != self.losses[-1][1]):
            self.losses.append((self.elapsed(), round(mean, 3)))

    def _has_fallen(self) -> bool:
        """Return whether the mean is well below the first one that was all peers'."""
        mean = self._api.value(f"avg({LOSSES}) and count({LOSSES}) == {len(STEADY)}")
        if mean is None:
            return False
        self._first = mean if self._first is None else self._first
        return mean < self._first - FALL

    def _is_full(self) -> bool:
        """Return whether each query of the swarm's board has had data."""
        if self._empty is None:
            runs = self._api.query("murmuration_peer_info")
            if not runs:
                return False
            self._empty = _queries(runs[0]["metric"]["run_id"])
            self.asked = len(self._empty)
        self._empty = [expression for expression in self._empty if not self._api.query(expression)]
        return not self._empty


def main() -> None:
    """Bring it up once, and write the record."""
    if reason := engine.missing():
        raise SystemExit(reason)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        swarm = Swarm(Path(folder), "murmuration-benchmark")
        swarm.forget()
        try:
            results = _measured(swarm)
        finally:
            swarm.forget()
    write_record("compose", results, time.monotonic() - began)
    if results["seconds_until_the_board_shows_a_training_swarm"] > GOAL:
        raise SystemExit("it took too long")


def _measured(swarm: Swarm) -> dict[str, Any]:
    called, watch = time.time(), Watch(swarm)
    swarm.up()
    returned = watch.elapsed()
    seen = watch.until_all_is_seen()
    return {
        "peers": len(STEADY),
        "seconds_between_readings": PERIOD,
        "seconds_until_up_returned": returned,
        "seconds_until_a_container_started": _starts(swarm, called),
        "seconds_until_seen": seen,
        "nats_that_the_loss_had_to_fall": FALL,
        "queries_of_the_board": watch.asked,
        "mean_loss": watch.losses,
        "seconds_until_the_board_shows_a_training_swarm": max(seen.values()),
        "goal": GOAL,
    }


def _queries(run_id: str) -> list[str]:
    """Return what the panels of the swarm's board ask, as Grafana would put it."""
    found = [query.expression for panel in BOARDS["swarm"].panels for query in panel.queries]
    interval = f"{4 * PERIOD:g}s"
    return [each.replace("$run", run_id).replace("$__rate_interval", interval) for each in found]


def _starts(swarm: Swarm, called: float) -> dict[str, float]:
    """Return when the engine started each container, after `up`."""
    told = {name: swarm.inspect(name, "{{.State.StartedAt}}") for name in ("prometheus", *STEADY)}
    # Nanoseconds are more than Python's clock has.
    moments = {name: datetime.fromisoformat(f"{text[:23]}+00:00") for name, text in told.items()}
    return {name: round(moment.timestamp() - called, 1) for name, moment in moments.items()}


if __name__ == "__main__":
    main()
