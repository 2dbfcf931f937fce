"""The boards are drawn from Prometheus's answers, and the pictures in the docs are of today's panels."""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("matplotlib")

from matplotlib.image import imread
from PIL import Image

from deploy.grafana.__main__ import BOARDS
from deploy.grafana.picture import digest, main

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
LABELS = {"run_id": "ab", "instance": "127.0.0.1:9464", "state": "training"}


@pytest.fixture
def prometheus():
    """Where a server listens that has one series for every question, and what it was asked."""
    asked = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
            asked.append(query["query"][0])
            series = {"metric": LABELS, "value": [0, "2.5"]}
            if path.endswith("query_range"):
                series = {
                    "metric": LABELS,
                    "values": [[float(query["start"][0]), "1"], [float(query["end"][0]), "3"]],
                }
            body = json.dumps({"data": {"result": [series]}}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def _kinds(*kinds):
    """A small board: a row with one panel of the swarm's of each kind."""
    first = {panel.kind: panel for panel in reversed(BOARDS["swarm"].panels)}
    return replace(BOARDS["swarm"], rows=tuple((first[kind],) for kind in kinds))


def test_a_board_is_drawn_of_the_first_peer_that_there_is(prometheus, tmp_path, monkeypatch):
    url, asked = prometheus
    board = _kinds("stat", "timeseries", "table")
    monkeypatch.setitem(BOARDS, "swarm", board)
    file = tmp_path / "board.png"
    monkeypatch.setattr("sys.argv", ["picture", "swarm", str(file), "--prometheus", url])
    main()
    assert imread(file).std() > 0, "something is on it"
    assert _panels(file) == f"panels {digest(board)}"
    assert len(asked) == 1 + sum(len(panel.queries) for panel in board.panels if panel.kind != "table")
    assert not any("$" in expression for expression in asked)


def test_a_picture_is_named_by_the_panels_that_are_on_it():
    whole, cut = _kinds("stat", "timeseries", "table"), _kinds("stat", "timeseries")
    assert digest(whole) == digest(cut), "a table is left out"
    assert digest(cut) != digest(_kinds("stat"))


@pytest.mark.parametrize("name", BOARDS)
def test_the_docs_show_the_panels_that_the_board_has_now(name):
    assert _panels(PICTURES / f"board-{name}.png") == f"panels {digest(BOARDS[name])}", (
        f"draw it again: python -m deploy.grafana.picture {name} docs/pictures/board-{name}.png"
    )


def _panels(file):
    with Image.open(file) as picture:
        return picture.info.get("Description")
