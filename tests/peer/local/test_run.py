"""`peer swarm` without its peers: what it makes before they start, and how it ends where they do not run."""

import io
import os
import signal
from datetime import datetime
from pathlib import Path

import pytest
from rich.console import Console

from peer.errors import HomeError, SwarmError, UsageError
from peer.local.processes import LocalSwarm
from peer.local.run import (
    Order,
    _folder,
    _given_run,
    _signals_interrupt,
    _small_run,
    _start,
    _watch,
    run_swarm,
)
from protocol.manifest import Inner, Manifest
from protocol.rules import draft_violations
from tests.peer.daemon.controls import STATUS
from tests.peer.local.fake_peer import ENDS, FAILS, WAITS, install, wait_until_ready


def _order(**changes):
    usual = {"peers": 4, "steps": 200, "preset": None, "codec": None, "run_file": None, "folder": None}
    return Order(**{**usual, **changes})


# ---- the folder


def test_without_a_name_the_folder_is_named_after_the_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = datetime.now().astimezone().replace(microsecond=0)
    folder = _folder(_order())
    made = datetime.strptime(folder.name, "%Y-%m-%d-%H%M%S").astimezone()
    assert folder.parent == tmp_path / "swarm"
    assert before <= made <= datetime.now().astimezone()


def test_a_folder_is_made_with_those_above_it_or_taken_if_it_is_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert _folder(_order(folder=Path("a/b"))) == tmp_path / "a" / "b"


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(UsageError, match="is not empty"):
        _folder(_order(folder=tmp_path))


def test_a_place_where_no_folder_can_be_is_refused(tmp_path):
    (tmp_path / "x").touch()
    for place in (tmp_path / "x", tmp_path / "x" / "y"):
        with pytest.raises(HomeError, match="Cannot use"):
            _folder(_order(folder=place))


def test_a_folder_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(HomeError, match="Cannot write in"):
        _folder(_order(folder=tmp_path / "new"))


# ---- the run


def test_the_usual_run_is_the_default_but_for_its_length(tmp_path):
    run = _small_run(_order(), tmp_path)
    assert run.path == tmp_path / "run.toml"
    assert run.manifest(bytes(32)) == Manifest(founder=bytes(32), inner=Inner(steps=200))


@pytest.mark.parametrize("preset", [None, "noloco", "gossip", "solo"])
@pytest.mark.parametrize("codec", [None, "fp32", "int8"])
@pytest.mark.parametrize("steps", [1, 3, 1000])
def test_the_options_are_in_the_run(tmp_path, preset, codec, steps):
    draft = _small_run(_order(preset=preset, codec=codec, steps=steps), tmp_path).draft
    assert draft.outer.preset == preset or preset is None
    assert draft.codecs == (codec,) or codec is None
    assert draft.inner.steps == steps
    assert not draft_violations(draft)


def test_options_that_make_no_run_are_what_is_blamed(tmp_path):
    with pytest.raises(UsageError, match='These options make no run: codecs = "topk" must be') as caught:
        _small_run(_order(codec="topk"), tmp_path)
    assert "run.toml" not in caught.value.message


def test_a_run_file_is_taken_as_it_is(tmp_path):
    (tmp_path / "mine.toml").write_text('data = {source = "text", path = "text"}\nname = "mine"\n')
    run = _given_run(_order(run_file=tmp_path / "mine.toml"))
    assert (run.draft.name, run.data_paths) == ("mine", (str(tmp_path / "text"),))
    assert _given_run(_order()) is None


@pytest.mark.parametrize("option", [{"preset": "solo"}, {"codec": "fp32"}, {"weights": Path("w")}])
def test_a_run_file_and_an_option_that_it_holds_conflict(tmp_path, option):
    (tmp_path / "mine.toml").write_text("")
    with pytest.raises(UsageError, match="Set them in the run file"):
        _given_run(_order(run_file=tmp_path / "mine.toml", **option))


# ---- the peers


class Recorded(LocalSwarm):
    """A swarm that notes what it is asked to start."""

    def start(self, index, arguments):
        self.peers.append((index, tuple(arguments)))
        return self.peers[-1]

    def address_of(self, peer):
        return STATUS.addresses[0]


def test_one_founds_and_the_others_join_it_with_a_shard_each(tmp_path):
    swarm = Recorded(tmp_path)
    _start(swarm, _order(peers=3, device="cpu"), tmp_path / "run.toml")
    shared = ("--run", str(tmp_path / "run.toml"), "--steps", "200", "--device", "cpu")
    join = ("--bootstrap", STATUS.addresses[0])
    assert swarm.peers == [
        (0, (*shared, "--shard", "0")),
        (1, (*shared, "--shard", "1", *join)),
        (2, (*shared, "--shard", "2", *join)),
    ]


@pytest.mark.parametrize(
    ("behaviour", "words"), [(FAILS, "peer-0 ended with code 41"), (ENDS, "peer-0 ended with code 0")]
)
def test_a_founder_that_ends_at_once_ends_the_swarm_with_its_last_words(
    tmp_path, monkeypatch, capsys, behaviour, words
):
    install(tmp_path, monkeypatch, behaviour)
    with pytest.raises(SwarmError, match=words):
        run_swarm(_order(folder=tmp_path / "swarm"), as_json=True)
    assert capsys.readouterr().out == ""


def test_a_swarm_that_is_ended_while_it_starts_ends_its_peers_and_says_where_things_are(
    tmp_path, monkeypatch, capsys
):
    install(tmp_path, monkeypatch, WAITS)
    started = []

    def interrupt(swarm, peer):
        started.append(peer)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(LocalSwarm, "address_of", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_swarm(_order(folder=tmp_path / "swarm"), as_json=False)
    assert not started[0].running
    told = capsys.readouterr().err
    assert told == f"stopped; what was learned is in {tmp_path}/swarm, for --home\n"


def test_the_table_that_stays_on_the_screen_is_drawn_once_every_peer_has_ended(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, WAITS)
    swarm = LocalSwarm(tmp_path / "swarm")
    swarm.start(0, [])
    wait_until_ready(tmp_path, "peer-0")
    refresh, looks = LocalSwarm.refresh, iter([None, KeyboardInterrupt, None])

    def interrupted(swarm):
        if (interruption := next(looks)) is not None:
            raise interruption
        refresh(swarm)

    monkeypatch.setattr(LocalSwarm, "refresh", interrupted)
    screen = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        _watch(swarm, _order(), Console(file=screen, force_terminal=True, width=80), began=0.0)
    assert not swarm.peers[0].running
    _, drawn, *_, last = screen.getvalue().split("peer-0")
    assert "starting" in drawn
    assert "stopped" in last


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_either_signal_ends_a_swarm_and_only_while_it_runs(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), _signals_interrupt():
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
