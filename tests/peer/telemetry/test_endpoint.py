from prometheus_client import CollectorRegistry, Gauge

from peer.telemetry.endpoint import make_routes


def test_metrics_are_served_in_the_exposition_format():
    registry = CollectorRegistry()
    Gauge("a_gauge", "A gauge.", registry=registry).set(3)
    response = make_routes(registry, lambda: None)["/metrics"]()
    assert response.status == 200
    assert response.content_type.startswith("text/plain; version=")
    assert response.body == b"# HELP a_gauge A gauge.\n# TYPE a_gauge gauge\na_gauge 3.0\n"


def test_health_says_what_is_wrong():
    complaints = [None, "the trainer died and is being restarted"]
    health = make_routes(CollectorRegistry(), lambda: complaints.pop(0))["/healthz"]
    assert (health().status, health().status) == (200, 503)
    complaints.append("alone since yesterday")
    assert health().body == b"alone since yesterday\n"
