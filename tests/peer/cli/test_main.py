"""The whole command: what it offers, and how it ends."""

import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer
from typer.testing import CliRunner

from peer.cli import main
from peer.cli.main import app, find
from peer.errors import DataError, Exit, ListenError, PeerError

COMMANDS = (
    *("swarm", "start", "init", "id", "status", "top", "events", "pause", "resume", "finish"),
    *("limits", "stop", "doctor", "plan", "explain", "export", "evaluate", "sample", "dashboard"),
)


@pytest.fixture
def invoke():
    return lambda *arguments: CliRunner().invoke(app, arguments)


def _commands(group, path=()):
    """Every command with the words that call it, those of groups too."""
    for name, command in getattr(group, "commands", {}).items():
        inside = list(_commands(command, (*path, name)))
        yield from inside or [((*path, name), command)]


ALL = dict(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_explains_itself_and_its_options(invoke, words):
    done = invoke(*words, "--help")
    assert done.exit_code == 0
    example = re.search(rf"^ *Example: peer {' '.join(words)}\b.*$", done.output, re.MULTILINE)
    assert example, "no example in the help"
    for option in ALL[words].params:
        assert option.help, f"{option.name} is not explained"


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_says_what_kind_of_value_in_the_words_of_a_person(invoke, words):
    assert not re.findall(r" range>|--[a-z-]+ <[^|>]*>|{.*}", invoke(*words, "--help").output)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_the_example_of_every_command_names_options_that_it_has(words):
    (example,) = re.findall(r"Example: (peer .*)$", ALL[words].help, re.MULTILINE)
    options = {name for option in ALL[words].params for name in (*option.opts, *option.secondary_opts)}
    own, _, _ = example.partition(" && ")
    assert {word for word in shlex.split(own) if word.startswith("--")} <= options


@pytest.mark.parametrize("words", ALL, ids=" ".join)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_is_completed(shell, words):
    typed = " ".join(("peer", *words))[:-1]
    asked = {"_PEER_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    asked |= {"COMP_WORDS": typed, "COMP_CWORD": str(len(words)), "_TYPER_COMPLETE_ARGS": typed}
    done = CliRunner().invoke(app, [], prog_name="peer", env=asked)
    assert re.search(rf"(^|\"){words[-1]}\b", done.output, re.MULTILINE), done.output


def test_the_command_alone_lists_what_it_can_do(invoke):
    done = invoke()
    assert done.exit_code == Exit.USAGE
    listed = done.output.partition("Commands:")[2].split("\n")
    assert tuple(line.split()[0] for line in listed if line.startswith("  ") and line[2] != " ") == COMMANDS
    assert not [line for line in listed if line.endswith("...")]


def test_the_version_is_that_of_the_package(invoke):
    done = invoke("--version")
    assert (done.exit_code, done.output) == (0, f"peer {version('murmuration-peer')}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["--fly"],
        ["id", "--fly"],
        ["id", "extra"],
        ["status", "--home"],
        ["start", "--steps", "0"],
        ["start", "--steps", "many"],
        ["start", "--shard", "-1"],
        ["start", "--metrics-port", "65536"],
        ["start", "--log-format", "xml"],
        ["swarm", "--peers", "0"],
        ["swarm", "--peers", "65"],
        ["swarm", "--steps", "0"],
        ["swarm", "--preset", "dialog"],
        ["swarm", "--codec", "int3"],
    ],
)
def test_a_command_line_that_is_wrong_says_what_about_it(invoke, arguments):
    done = invoke(*arguments)
    assert done.exit_code == Exit.USAGE
    assert "Error: " in done.output
    assert "Traceback" not in done.output


# ---- ends


def _raising(error):
    def command(**_):
        raise error

    return command


LISTEN = ListenError("the port is taken", "Choose another")
DATA = DataError("the text is gone", "Bring it back")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DATA, 40, "peer: the text is gone. Bring it back\n"),
        (ExceptionGroup("", [ExceptionGroup("", [LISTEN])]), 21, "peer: the port is taken. Choose another\n"),
        (ExceptionGroup("", [ValueError(), DATA, LISTEN]), 40, "peer: the text is gone. Bring it back\n"),
        (KeyboardInterrupt(), 130, ""),
        (BaseExceptionGroup("", [KeyboardInterrupt()]), 130, ""),
        (BaseExceptionGroup("", [DATA, KeyboardInterrupt()]), 130, ""),
        (SystemExit(3), 3, ""),
    ],
)
def test_every_end_has_its_exit_code_and_no_traceback(monkeypatch, capsys, error, code, said):
    monkeypatch.setattr(main, "app", _raising(error))
    with pytest.raises(SystemExit) as caught:
        main.run()
    assert caught.value.code == code
    assert capsys.readouterr().err == said


def test_a_reader_who_has_had_enough_is_no_failure(monkeypatch):
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as pipe:
        monkeypatch.setattr(main, "app", lambda **_: pipe.write("more"))
        monkeypatch.setattr(sys, "stdout", pipe)
        main.run()
        # What could not be written is not tried again, with the complaint that nobody could catch.
        pipe.write("still more")


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("a bug"), ExceptionGroup("", [ZeroDivisionError("a bug")])]
)
def test_a_fault_of_the_program_is_shown_whole(monkeypatch, error):
    monkeypatch.setattr(main, "app", _raising(error))
    with pytest.raises(type(error)) as caught:
        main.run()
    assert caught.value is error


def test_errors_are_found_at_any_depth_and_only_of_their_kind():
    nested = ExceptionGroup("", [ValueError(), ExceptionGroup("", [TypeError(), DATA])])
    assert find(nested, PeerError) is DATA
    assert find(DATA, PeerError) is DATA
    assert find(nested, KeyError) is None
    assert find(ValueError(), PeerError) is None


@pytest.mark.parametrize(("arguments", "code"), [(["fly"], 2), (["status", "--home", "/nowhere/at/all"], 32)])
def test_the_process_ends_with_the_code(arguments, code):
    done = subprocess.run(
        [sys.executable, "-m", "peer", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    if code == Exit.NOT_RUNNING:
        (line,) = done.stderr.splitlines()
        assert line.startswith("peer: No daemon runs in /nowhere/at/all. ")


def test_a_fault_of_the_program_ends_it_with_1():
    code = (
        "from peer.cli import main\n"
        "def broken(**_): raise ZeroDivisionError('a bug')\n"
        "main.app = broken\n"
        "main.run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == Exit.INTERNAL
    assert "ZeroDivisionError: a bug" in done.stderr
