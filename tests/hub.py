"""A Hugging Face Hub for tests: one data set at one commit, served from a folder over real HTTP on loopback.

It answers what `huggingface_hub` and `datasets` ask, and can fail. `HF_ENDPOINT` points them at it.
"""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34


class Hub:
    """The server.

    Attributes:
        url: of it.
        asked: how often each path was asked for.
        served: bytes of files that went out.
        status: to answer everything with in place of what is asked for; None to answer.
        code: told with such a status, as the Hub does (`GatedRepo`).
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.asked: Counter[str] = Counter()
        self.served = 0
        self.status: int | None = None
        self.code = ""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                hub.answer(self, body=True)

            def do_HEAD(self):
                hub.answer(self, body=False)

            def do_POST(self):
                self.posted = self.rfile.read(int(self.headers["Content-Length"]))
                hub.answer(self, body=True)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request, *, body):
        """Answer one request."""
        path = unquote(urlsplit(request.path).path)
        self.asked[f"{request.command} {path}"] += 1
        if self.status is not None:
            self._send(request, self.status, b"{}", {"X-Error-Code": self.code}, body=body)
            return
        known = f"/api/datasets/{self.name}"
        files = f"/datasets/{self.name}/resolve/{COMMIT}/"
        if path in (known, f"{known}/revision/main", f"{known}/revision/{COMMIT}"):
            told = {"id": self.name, "sha": COMMIT, "private": False, "gated": False, "disabled": False}
            self._json(request, {**told, "downloads": 0, "likes": 0, "tags": [], "siblings": []}, body=body)
        elif path.startswith(f"{known}/tree/{COMMIT}"):
            below = path.removeprefix(f"{known}/tree/{COMMIT}").strip("/")
            self._json(request, self._tree(below, recursive="recursive=True" in request.path), body=body)
        elif path == f"{known}/paths-info/{COMMIT}":
            named = json.loads(request.posted)["paths"]
            self._json(
                request,
                [self._told(self.folder / each) for each in named if (self.folder / each).exists()],
                body=body,
            )
        elif path.startswith(files) and (self.folder / path.removeprefix(files)).is_file():
            self._file(request, self.folder / path.removeprefix(files), body=body)
        elif path.startswith(f"/datasets/{self.name}/resolve/{COMMIT}"):
            self._send(request, 404, b"", {"X-Error-Code": "EntryNotFound"}, body=body)
        elif "/revision/" in path and path.startswith(known):
            self._send(request, 404, b"", {"X-Error-Code": "RevisionNotFound"}, body=body)
        else:
            self._send(request, 404, b"", {"X-Error-Code": "RepoNotFound"}, body=body)

    def _tree(self, below, *, recursive):
        folder = self.folder / below
        found = sorted(folder.rglob("*") if recursive else folder.glob("*"))
        return [self._told(path) for path in found]

    def _told(self, path):
        name = path.relative_to(self.folder).as_posix()
        if path.is_dir():
            return {"type": "directory", "oid": "0" * 40, "size": 0, "path": name}
        return {"type": "file", "oid": _etag(path), "size": path.stat().st_size, "path": name}

    def _json(self, request, value, *, body):
        self._send(request, 200, json.dumps(value).encode(), {"Content-Type": "application/json"}, body=body)

    def _file(self, request, path, *, body):
        content, status = path.read_bytes(), 200
        headers = {"ETag": f'"{_etag(path)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if (wanted := request.headers.get("Range")) is not None:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            end = min(int(last) + 1 if last else len(content), len(content))
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(content)}"
            content, status = content[int(first) : end], 206
        self.served += len(content) if body else 0
        self._send(request, status, content, headers, body=body)

    def _send(self, request, status, content, headers, *, body):
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if body:
            request.wfile.write(content)


@contextmanager
def hub(name: str, folder: Path) -> Iterator[Hub]:
    """Serve the data set in a folder under this name, until the end."""
    made = Hub(name, folder)
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()


def _etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
