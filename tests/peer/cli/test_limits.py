"""`peer limits`: shows, sets, takes back, and refuses."""

import json

import pytest
from typer.testing import CliRunner

from peer.cli.main import app
from peer.daemon.home import Home
from peer.daemon.limits_file import read_given, write_given
from peer.errors import LimitsError, UsageError
from peer.governor.limits import KEYS


@pytest.fixture
def invoke(tmp_path):
    """Run the command on the home of this test."""
    return lambda *arguments: CliRunner().invoke(app, ["limits", "--home", str(tmp_path), *arguments])


def rows(done):
    assert done.exit_code == 0, done.output
    lines = [line.split(maxsplit=2) for line in done.output.splitlines()[: len(KEYS)]]
    return {words[0]: words[1] for words in lines}


def test_without_options_it_shows_and_changes_nothing(invoke, tmp_path):
    shown = rows(invoke())
    assert set(shown) == {key.replace("_", "-") for key in KEYS}
    assert (shown["pause-on-battery"], shown["hours"]) == ("yes", "-")
    assert list(tmp_path.iterdir()) == []


def test_the_table_fits_a_terminal_of_80_columns(invoke):
    lines = invoke("--hours", "22:00-07:00").output.splitlines()
    assert len(lines) == len(KEYS) + 1
    lines = invoke("--hours", "mon-fri 19:00-07:00, sat-sun").output.splitlines()
    assert max(len(line.rstrip()) for line in lines[:-1]) <= 80


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("--hours 22:00-07:00", {"hours": "22:00-07:00"}),
        (
            "--no-pause-for-others --no-pause-on-battery",
            {"pause_for_others": False, "pause_on_battery": False},
        ),
        ("--pause-at-keyboard 5min", {"pause_at_keyboard": "5min"}),
        ("--max-temperature 80 --max-power 250W", {"max_temperature": "80", "max_power": "250W"}),
        ("--max-temperature 0=80,1=70", {"max_temperature": "0=80,1=70"}),
        ("--upload 10Mbit --download 1MB/s", {"upload": "10Mbit", "download": "1MB/s"}),
        ("--traffic 50GB --disk 20GB", {"traffic": "50GB", "disk": "20GB"}),
        ("--memory 16GB --gpu-memory 80%", {"memory": "16GB", "gpu_memory": "80%"}),
    ],
)
def test_each_option_sets_its_key(invoke, tmp_path, arguments, given):
    rows(invoke(*arguments.split()))
    assert read_given(tmp_path) == given


def test_what_is_not_named_stays_and_none_takes_back(invoke, tmp_path):
    write_given(tmp_path, {"hours": "sat", "disk": "20GB"})
    shown = rows(invoke("--traffic", "50GB", "--hours", "none"))
    assert read_given(tmp_path) == {"disk": "20GB", "traffic": "50GB"}
    assert (shown["disk"], shown["traffic"], shown["hours"]) == ("20GB", "50GB", "-")


def test_help_shows_how_each_is_written():
    told = " ".join(CliRunner().invoke(app, ["limits", "--help"]).output.split())
    assert "Pause above it, in °C of the device, such as 80, or 0=80,1=70 by GPU; none: no limit." in told
    assert "Most for the trainer on the GPU, such as 80%, or 0=80%,1=12GB by GPU; none: no limit." in told


@pytest.mark.parametrize(
    ("options", "sensor"),
    [
        ("--max-temperature 80", True),
        ("--pause-for-others", True),
        ("--disk 20GB", False),
        ("--max-temperature none", False),
        ("--no-pause-for-others", False),
    ],
)
def test_who_sets_a_limit_that_needs_a_sensor_learns_who_knows_of_one(invoke, tmp_path, options, sensor):
    assert (f"peer doctor --home {tmp_path}\n" in invoke(*options.split()).output) == sensor
    assert "peer doctor" not in invoke().output


def test_json_has_every_key(invoke):
    told = json.loads(invoke("--traffic", "50GB", "--no-pause-on-battery", "--json").output)
    assert list(told) == list(KEYS)
    assert (told["traffic"], told["disk"]) == ("50GB", None)
    assert (told["pause_for_others"], told["pause_on_battery"]) == (True, False)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--hours", "night", "--hours: 'night' names no hours"),
        ("--max-power", "9", "--max-power: '9' is not between 10 and 10000"),
        ("--max-power", "0=200,1", "--max-power: '1' of '0=200,1' names no GPU"),
        ("--upload", "1kbit", "--upload: A limit of 1kbit is too low"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_written(invoke, tmp_path, option, value, message):
    done = invoke("--disk", "20GB", option, value)
    assert isinstance(done.exception, UsageError)
    assert done.exception.message.startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_wrong_is_mended_by_the_option_that_sets_it_anew(invoke, tmp_path):
    (tmp_path / "limits.toml").write_text("disk = 20\n")
    assert isinstance(invoke().exception, LimitsError)
    assert rows(invoke("--disk", "20GB"))["disk"] == "20GB"


def test_hours_that_never_close_are_said_to_pause_nothing(invoke):
    assert "07:00-07:00 is the whole day, every day" in invoke("--hours", "07:00-07:00").output
    assert "whole day" not in invoke("--hours", "22:00-07:00").output


def test_a_home_in_which_no_peer_has_been_is_said_to_be_one(invoke, tmp_path):
    for arguments in ((), ("--traffic", "5GB")):
        (said,) = invoke(*arguments).output.splitlines()[len(KEYS) :]
        assert said.endswith(f"no peer has been in this home yet; the first: peer start --home {tmp_path}")
    with Home.open(tmp_path) as home:
        home.identity()
    assert "no peer has been" not in invoke().output
    assert invoke("--traffic", "5GB").output.endswith("a running peer takes it up in 5 s\n")


@pytest.mark.parametrize("text", ["max-temperature = 70\n", "disk = nan\n"])
def test_what_stands_wrong_in_the_file_is_not_thrown_away_by_another_option(invoke, tmp_path, text):
    (tmp_path / "limits.toml").write_text(text)
    assert isinstance(invoke("--traffic", "50GB").exception, LimitsError)
    assert (tmp_path / "limits.toml").read_text() == text
