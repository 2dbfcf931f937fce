import pytest

from handbook import errors
from peer.daemon.doctor.findings import Number
from peer.errors import Exit
from peer.explain.catalogue import read_pages


def test_a_page_names_number_name_and_error():
    page = errors.pages()[20]
    assert page.startswith("# 20: No bootstrap answers\n\nExit code **20**, `Exit.BOOTSTRAP_UNREACHABLE`.")
    assert "`peer.errors.BootstrapError`. None of the bootstrap addresses answered." in page
    assert "peer doctor" in errors.pages()[101]


def test_a_number_without_a_page_stops_the_build(monkeypatch):
    pages = read_pages()
    monkeypatch.setattr(errors, "read_pages", lambda: {n: page for n, page in pages.items() if n != 20})
    with pytest.raises(ValueError, match=r"no page tells of \[20\]"):
        errors.pages()


def test_a_page_without_a_number_stops_the_build(monkeypatch):
    pages = read_pages()
    monkeypatch.setattr(errors, "read_pages", lambda: {**pages, 999: pages[20]})
    with pytest.raises(ValueError, match="999"):
        errors.pages()


def test_the_tables_list_every_number():
    assert errors.exits().count("\n| [") == len(Exit)
    assert errors.findings().count("\n| [") == len(Number)
