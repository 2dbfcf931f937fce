from pathlib import Path

import pytest

from peer.cli.options import DEFAULT_HOME, device, expand
from peer.errors import Exit, HomeError, UsageError


def test_the_default_lies_in_the_users_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert expand(DEFAULT_HOME) == Path("/home/me/.murmuration")


def test_any_other_path_stays_as_it_is():
    assert expand(Path("here/~x")) == Path("here/~x")


def test_a_user_who_is_not_there_has_no_home():
    with pytest.raises(HomeError, match="~nobody-of-this-name/peer") as caught:
        expand(Path("~nobody-of-this-name/peer"))
    assert caught.value.code == Exit.HOME_UNUSABLE


@pytest.mark.parametrize(
    "name", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:12", "cuda:0,cuda:3", "cpu,cpu"]
)
def test_a_device_is_taken_by_its_name(name):
    assert device(name) == name


@pytest.mark.parametrize(
    "name", ["", "gpu", "cuda:", "cuda:x", "cuda:1,2", "cuda:1,", "mps,mps", "CPU", "cpu:0"]
)
def test_what_is_no_device_is_refused_with_what_there_is(name):
    with pytest.raises(UsageError, match="Use auto, cpu, mps, cuda, cuda:1 for"):
        device(name)
