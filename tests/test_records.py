"""The figures that the pages point to are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
NAMED = [
    (page.relative_to(ROOT), name)
    for page in PAGES
    for name in re.findall(r"benchmarks/records/([\w.*-]+\w)", page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("page", "name"), NAMED, ids=lambda value: str(value))
def test_every_record_that_a_page_names_exists(page, name):
    assert list((ROOT / "benchmarks" / "records").glob(name)), f"{page} names it"


def test_pages_name_records():
    assert len(NAMED) > 5
