import json
import os
import sys

import pytest
from typer.testing import CliRunner

from peer.cli.main import app
from peer.config.run_file import read_run_file
from peer.daemon.history_file import write_history
from peer.daemon.home import Home
from peer.errors import ExtraMissingError, NothingMeasuredError, UsageError
from peer.telemetry.event_file import EventFile
from peer.telemetry.events import ShareReady, TrainerStarted
from peer.telemetry.history import History
from protocol.identity import Identity
from protocol.manifest import Manifest, sign
from tests.peer.daemon.controls import serving, socket_folder

USUAL = ("--params", "160M", "--peers", "16", "--device", "rtx 4090", "--up", "20Mbit", "--down", "100Mbit")


def _plan(*arguments):
    return CliRunner().invoke(app, ["plan", *map(str, arguments)])


def test_a_plan_is_told_with_its_doubts_and_its_run_file(tmp_path):
    done = _plan(*USUAL, "--rtt", "100ms", "--price", "0.3")
    assert done.exit_code == 0
    for word in ("learning rate", "tokens a day", "kWh (", "traffic a month", "! Loss: 16 peers", "[inner]"):
        assert word in done.output
    assert max(map(len, done.output.splitlines())) <= 110


def test_json_for_programs():
    told = json.loads(_plan(*USUAL, "--json").output)
    assert set(told) == {"plan", "choice", "suggested", "doubts", "run_file"}
    assert told["plan"]["pace"]["kwh"] > 0
    assert told["choice"] == told["suggested"]


def test_the_run_file_is_written_once_or_over_where_that_is_asked_for(tmp_path):
    path = tmp_path / "run.toml"
    assert _plan(*USUAL, "--write", path).exit_code == 0
    assert read_run_file(path).draft.outer.preset == "gossip"
    again = _plan(*USUAL, "--preset", "noloco", "--write", path)
    assert isinstance(again.exception, UsageError)
    assert "--force" in str(again.exception)
    assert read_run_file(path).draft.outer.preset == "gossip"
    assert _plan(*USUAL, "--preset", "noloco", "--write", path, "--force").exit_code == 0
    assert read_run_file(path).draft.outer.preset == "noloco"


def test_a_run_file_is_planned_and_compared_with_the_laws(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("[outer]\nevery = 7\n", encoding="utf-8")
    done = _plan("--run", path, "--peers", "4", "--flops", "50G", "--mfu", "1")
    assert "7 inner steps between two outer steps" in done.output
    assert "The laws would choose every" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Nothing says what to plan"),
        (("--params", "1M", "--run", "x.toml"), "name different runs"),
        (("--params", "1k"), "between 20k and 1T"),
        (("--params", "1M", "--device", "abacus"), "No figures are known"),
    ],
)
def test_mistakes_are_one_line(arguments, said):
    done = _plan(*arguments)
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)


def test_onebyte_is_beyond_all_laws(tmp_path):
    assert "onebyte" in str(_plan("--params", "1M", "--preset", "onebyte").exception)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[task]\nname = "shapes"\n', "a plug-in's task"),
        ('[model]\nkind = "hf"\nsource = "base"\n', "tuning a base model"),
    ],
)
def test_a_run_of_another_model_is_beyond_all_laws(tmp_path, table, said):
    run = tmp_path / "run.toml"
    run.write_text(table, encoding="utf-8")
    assert f"No law tells of {said}" in str(_plan("--run", run).exception)


def test_a_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "plan.png"
    assert _plan(*USUAL, "--plot", path).exit_code == 0
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("asked", [USUAL, ("--check", "nowhere")])
def test_without_matplotlib_the_extra_is_named_before_the_work(tmp_path, monkeypatch, asked):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = _plan(*asked, "--plot", tmp_path / "plan.png")
    assert isinstance(done.exception, ExtraMissingError)
    assert "murmuration-peer[plot]" in str(done.exception)
    assert done.output == ""


@pytest.fixture
def home(tmp_path):
    """A home in which a peer of the default run has trained for 40 steps, alone."""
    founder = Identity(bytes(32))
    with Home.open(tmp_path / "home") as made:
        made.write_manifest(sign(Manifest(founder=founder.public_key), founder))
    return tmp_path / "home"


@pytest.fixture
def trained(home):
    """The same, with what its peer measured."""
    with EventFile(home / "events.log") as log:
        log.append(TrainerStarted(time=0.0, device="cpu", parameters=434816, inner_step=0, resumed=False))
        for step in (20, 40):
            log.append(
                ShareReady(time=step / 10, outer_step=step // 20, inner_step=step, codec="int8", size=0)
            )
    return home


def test_a_check_sets_the_plan_beside_the_home(trained):
    done = _plan("--check", trained)
    assert done.exit_code == 0
    assert "20 inner steps on cpu" in done.output
    assert (
        "Planned for the rtx 4090, measured on cpu"
        in _plan("--check", trained, "--device", "RTX 4090").output
    )
    told = json.loads(_plan("--check", trained, "--flops", "30G", "--mfu", "1", "--json").output)
    lines = {line["name"]: line for line in told["lines"]}
    assert lines["an inner step"]["measured"] == pytest.approx(0.1)
    assert lines["tokens a second, a peer"]["predicted"] > 0


def test_a_check_tells_energy_only_where_it_was_measured(trained, monkeypatch):
    assert "kWh: not measured: that needs a peer that trains meanwhile." in _plan("--check", trained).output
    with socket_folder() as folder, serving(folder / "control.sock"):
        (trained / "runtime").write_bytes(os.fsencode(folder))
        assert "kWh: not measured: it is not known what was trained on" in _plan("--check", trained).output
        monkeypatch.setattr("peer.cli.plan_check.read_power", lambda home: 250.0)
        told = json.loads(_plan("--check", trained, "--json").output)
    assert told["drawn"]["watts"] == 250.0
    assert {line["name"]: line["measured"] for line in told["lines"]}["kWh a day, a peer"] == 6.0


@pytest.mark.parametrize("size", ["tiny", "within the tables"])
def test_a_check_is_drawn_from_what_the_home_kept(trained, tmp_path, size, monkeypatch):
    pytest.importorskip("matplotlib")
    if size != "tiny":
        monkeypatch.setattr("peer.plan.laws.SIZES", (1e5, 2e5, 4e5, 6e5, 8e5, 1e6, 2e6))
    history = History()
    for step in range(1, 41):
        history.note(step, 5.0 - step / 20)
    write_history(trained, history)
    path = tmp_path / "check.png"
    done = _plan("--check", trained, "--plot", path, "--flops", "30G", "--mfu", "1")
    assert done.exit_code == 0
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_home_without_a_loss_is_not_drawn(trained, tmp_path):
    pytest.importorskip("matplotlib")
    done = _plan("--check", trained, "--plot", tmp_path / "check.png")
    assert isinstance(done.exception, NothingMeasuredError)
    assert not (tmp_path / "check.png").exists()


@pytest.mark.parametrize(
    ("base", "option", "value"),
    [
        ("--check", "--write", "run.toml"),
        ("--check", "--price", "0"),
        ("--check", "--tokens", "1B"),
        ("--check", "--preset", "gossip"),
        ("--check", "--context", "2048"),
        ("--check", "--vocabulary", "256"),
        ("--check", "--monthly", "1GB"),
        ("--run", "--preset", "gossip"),
        ("--run", "--context", "2048"),
        ("--run", "--vocabulary", "256"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(trained, tmp_path, base, option, value):
    run = tmp_path / "run.toml"
    run.write_text("", encoding="utf-8")
    done = _plan(base, run if base == "--run" else trained, option, value)
    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == f"{base} has no use for {option}. Leave out {option}"


def test_a_home_without_measurement_has_a_number_of_its_own(home, tmp_path):
    for folder in (home, tmp_path):
        assert isinstance(_plan("--check", folder).exception, NothingMeasuredError)
