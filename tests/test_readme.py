"""What the README tells people to type, and promises to programs, is what there is."""

import re
import shlex
import subprocess
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import get_args, get_origin, get_type_hints

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from peer.api.run import Run
from peer.cli.main import app
from peer.config.schema import KEYS, SECTIONS
from peer.errors import Exit
from peer.local.report import Report
from peer.local.run import Order
from protocol.control import Status
from protocol.manifest import CodecName
from protocol.presets import PRESETS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = dict(vars(typer.main.get_command(app))["commands"])


def _section(title):
    return re.split(r"^## ", README.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def _rows(text):
    """The cells of each row of a table, its head left out."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return rows[1:]


def _tables(text):
    """The rows of each table."""
    return [_rows(part) for part in re.split(r"\n\n+", text) if part.startswith("| ")]


def marked(name):
    """The command after a marker, as one chain of programs and their arguments."""
    block = re.search(rf"^<!-- command: {name} -->\n```\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)
    assert block, f"README.md has no command marked {name!r}"
    return [shlex.split(link) for link in block[1].split("&&")]


def _spoken():
    """Every `peer ...` in code spans, and on the lines of code blocks."""
    code = [*re.findall(r"`([^`\n]+)`", README), *re.findall(r"^    (.+)$", README, re.MULTILINE)]
    code += [shlex.join(link) for link in marked("run")]
    return [match[1] for part in code if (match := re.match(r"(?:\.venv/bin/)?peer (\w.*)", part.strip()))]


# ---- commands


@pytest.mark.parametrize("name", ["run", "test"])
def test_the_marked_commands_are_read_by_the_tools_as_by_people(name):
    told = subprocess.run([ROOT / ".ci" / "readme-command", name], capture_output=True, text=True, check=True)
    assert [shlex.split(link) for link in told.stdout.split("&&")] == marked(name)
    subprocess.run(["bash", "-n", "-c", told.stdout], check=True)
    make, install, use = marked(name)
    assert make == ["python3", "-m", "venv", ".venv"]
    assert install[:2] == [".venv/bin/pip", "install"]
    assert use[0].startswith(".venv/bin/")
    for path in install[2:]:
        assert (ROOT / path.partition("[")[0] / "pyproject.toml").exists()


def test_the_first_command_is_a_swarm_that_can_be_ordered(monkeypatch):
    given = []
    monkeypatch.setattr("peer.local.run.run_swarm", lambda order, as_json: given.append(order))
    assert CliRunner().invoke(app, marked("run")[-1][1:]).exit_code == 0
    assert given == [Order(peers=4, steps=200, preset=None, codec=None, run_file=None, folder=None)]


def test_every_command_is_named_and_every_named_command_exists():
    assert {words.split()[0] for words in _spoken()} == set(COMMANDS)
    table = {re.match(r"`peer (\w+)`", row[0])[1] for row in _rows(_section("Train together"))}
    assert table == set(COMMANDS)


def _options(command):
    """The options of a command; a flag has one for no, too."""
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def test_every_option_that_is_named_exists_and_where_it_is_named():
    for words in _spoken():
        name, *arguments = words.split()
        options = _options(COMMANDS[name])
        assert {word for word in arguments if word.startswith("--")} <= options, words
    known = {option for command in COMMANDS.values() for option in _options(command)}
    assert set(re.findall(r"(?<=[`\s])--[a-z][a-z-]+", README)) <= known


def test_the_keys_presets_and_codecs_of_a_run_are_those_that_exist():
    keys, presets, codecs, *_ = _tables(_section("What a run is"))
    for key, *_ in keys:
        path = tuple(key.strip("`").split("."))
        assert path in KEYS or path[0] in SECTIONS
    assert {row[0].strip("`") for row in presets} == set(PRESETS)
    named = [name for row in codecs for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(get_args(CodecName))


# ---- promises to programs


def test_the_table_of_exit_codes_is_the_catalogue():
    codes = []
    for numbers, meaning in _rows(_section("For programs")):
        row = [int(number) for number in numbers.split(",")]
        assert len(meaning.split(";")) == len(row), f"{numbers}: a meaning for each"
        codes += row
    assert codes == sorted(Exit)


def test_the_example_for_programs_says_how_it_goes_and_does_not_go_for_long(capsys):
    asked = []

    class Peer:
        address = "/ip4/192.0.2.7/tcp/4001/p2p/x"

        def __init__(self, run=None, **options):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *ended):
            pass

        def wait(self, step):
            asked.append(step)
            return SimpleNamespace(loss=2.5)

    (example,) = re.findall(r"^    (with Peer.+\n(?:    .+\n)+)", README, re.MULTILINE)
    exec(textwrap.dedent(f"    {example}"), {"Peer": Peer, "Run": Run})
    assert len(capsys.readouterr().out.splitlines()) == len(asked) > 2
    assert max(asked) <= 200


def test_the_object_of_peer_swarm_has_the_fields_that_are_shown():
    shown = re.search(r'^    (\{"peers".*?\})$', README, re.MULTILINE | re.DOTALL)
    assert shown
    assert " ".join(shown[1].split()) == _notation(Report)


def _notation(kind):
    """A struct's fields as the README writes them: names, and what is inside those that hold more."""
    fields = []
    for name, inside in get_type_hints(kind).items():
        if get_origin(inside) is list:
            (item,) = get_args(inside)
            fields.append(f'"{name}": [{_notation(item) if issubclass(item, msgspec.Struct) else ""}]')
        elif isinstance(inside, type) and issubclass(inside, msgspec.Struct):
            fields.append(f'"{name}": {_notation(inside)}')
        else:
            fields.append(f'"{name}"')
    return "{" + ", ".join(fields) + "}"


def test_peer_status_has_the_fields_that_are_named():
    named = README.partition("`peer status --json` has ")[2].partition("and more")[0]
    names = re.findall(r"`(\w+)`", named)
    assert len(names) > 10
    assert set(names) <= set(Status.__struct_fields__)
