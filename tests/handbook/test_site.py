"""The site builds without a warning, from this checkout and with nothing of the network."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        folder,
    ]
    # No proxy answers there: a plug-in that wanted something from elsewhere would fail.
    nowhere = "http://127.0.0.1:9"
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "http_proxy": nowhere, "https_proxy": nowhere}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


class _Sources(HTMLParser):
    """Collects what a browser would fetch with the page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "img", "iframe"):
            self.found.append(given.get("src") or "")
        elif tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon"):
            self.found.append(given.get("href") or "")


def test_every_folder_of_pages_has_a_tab(site):
    shown = (site / "index.html").read_text(encoding="utf-8")
    for folder in (ROOT / "docs").iterdir():
        if folder.is_dir() and list(folder.glob("*.md")):
            assert f'href="{folder.name}/' in shown, folder


def test_nothing_is_fetched_from_elsewhere(site):
    for page in site.rglob("*.html"):
        sources = _Sources()
        sources.feed(page.read_text(encoding="utf-8"))
        assert not [source for source in sources.found if re.match(r"(https?:)?//", source)], page


def test_no_mark_of_what_is_generated_is_left(site):
    assert not [page for page in site.rglob("*.html") if "generated:" in page.read_text(encoding="utf-8")]
