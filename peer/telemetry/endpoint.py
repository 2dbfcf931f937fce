"""The paths that a peer serves to monitoring: `/metrics` and `/healthz`."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from peer.telemetry.http import Response, Routes

Complaint = Callable[[], str | None]
"""Returns what is wrong with the peer, or None where it is well."""


def make_routes(registry: CollectorRegistry, complaint: Complaint) -> Routes:
    """Return the routes: `/healthz` answers 200 while the peer is well, and 503 with the complaint."""

    def metrics() -> Response:
        return Response(200, generate_latest(registry), CONTENT_TYPE_LATEST)

    def health() -> Response:
        wrong = complaint()
        return Response(200, b"ok\n") if wrong is None else Response(503, f"{wrong}\n".encode())

    return {"/metrics": metrics, "/healthz": health}
