"""Every number that the program can end with, or the doctor find, has its page, and no page is left over."""

import re

import pytest

from peer.daemon.doctor.findings import Number
from peer.errors import Exit
from peer.explain.catalogue import Page, read_pages

PAGES = read_pages()


def test_every_number_has_a_page_and_every_page_a_number():
    assert not set(Exit) & set(Number)
    assert set(PAGES) == set(Exit) | set(Number)
    assert list(PAGES) == sorted(PAGES)


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: str(page.number))
def test_a_page_is_whole_and_leads_only_to_others(page):
    assert page.body.startswith("## What happened")
    assert len(page.title) < 50
    assert "    " in page.body.partition("## Example")[2], "an example line"
    assert max(map(len, page.body.partition("## Example")[0].splitlines())) <= 120
    assert {int(number) for number in re.findall(r"\]\((\d+)\.md\)", page.body)} <= set(PAGES)


def test_the_terminal_is_spared_the_links():
    page = Page(1, "a", "see [204](204.md), and `x[0](1)`")
    assert page.plain().startswith("see 204, and")


def test_a_page_without_its_sections_is_refused(monkeypatch):
    from peer.explain import catalogue

    with pytest.raises(ValueError, match="page of 7 needs"):
        catalogue._read(7, "# A title\n\n## What happened\n\nMuch.\n")
