"""Asks a real Prometheus over its HTTP API."""

import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

LOOK = 0.5
"""Seconds between two questions: Prometheus tells nobody when it has scraped."""


class Api:
    """One server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression at this moment."""
        return self._get("query", query=expression)["result"]  # type: ignore[no-any-return]

    def value(self, expression: str) -> float | None:
        """Return the value of an expression with one series; None while there is none."""
        series = self.query(expression)
        return float(series[0]["value"][1]) if series else None

    def series(self, expression: str, seconds: float, step: float) -> list[dict[str, Any]]:
        """Return what an expression was over the last seconds."""
        now = time.time()
        found = self._get("query_range", query=expression, start=now - seconds, end=now, step=step)
        return found["result"]  # type: ignore[no-any-return]

    def _get(self, path: str, **arguments: object) -> dict[str, Any]:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]  # type: ignore[no-any-return]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{arguments}: {error.read().decode()}") from None
        except OSError:
            return {"result": []}  # it does not listen yet


def eventually(what: str, look: Callable[[], T | None], patience: float) -> T:
    """Return the first answer that is not None, False or empty."""
    deadline, pause = time.monotonic() + patience, threading.Event()
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {patience} s: {what}"
        pause.wait(LOOK)
    return found
