"""Paths with `~` in them."""

from pathlib import Path

import pytest

from peer.errors import Exit, HomeError
from peer.paths import DEFAULT_HOME, existing, expand, option_for


def test_the_default_lies_in_the_users_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert expand(DEFAULT_HOME) == Path("/home/me/.murmuration")


def test_any_other_path_stays_as_it_is():
    assert expand(Path("here/~x")) == Path("here/~x")


def test_a_user_who_is_not_there_has_no_home():
    with pytest.raises(HomeError, match="~nobody-of-this-name/peer") as caught:
        expand(Path("~nobody-of-this-name/peer"))
    assert caught.value.code == Exit.HOME_UNUSABLE


def test_what_cannot_be_a_path_is_none(tmp_path):
    (tmp_path / "here").mkdir()
    assert existing("here", tmp_path) == tmp_path / "here"
    for name in ("there", "~nobody-of-this-name/here", "n" * 300):
        assert existing(name, tmp_path) is None


def test_a_home_that_is_not_the_usual_one_is_named_to_a_command(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert option_for(Path("/home/me/.murmuration")) == ""
    assert option_for(Path("second")) == " --home second"
    assert option_for(Path("/disks/my second")) == " --home '/disks/my second'"
