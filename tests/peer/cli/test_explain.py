import json

import pytest
from typer.testing import CliRunner

from peer.cli.explain import name_of
from peer.cli.main import app
from peer.daemon.doctor.findings import Number
from peer.errors import Exit, UsageError


def _say(*arguments):
    return CliRunner().invoke(app, ["explain", *arguments])


def test_an_exit_code_and_a_finding_are_told():
    assert _say("20").output.startswith("20 BOOTSTRAP_UNREACHABLE: No bootstrap answers\n\n## What happened")
    assert _say("204").output.startswith("204 BEHIND_ROUTER: Behind a router")


def test_without_a_number_all_are_listed():
    lines = _say().output.splitlines()
    assert len(lines) == len(Exit) + len(Number)
    assert " 20  No bootstrap answers" in lines


def test_programs_get_the_same_as_json():
    told = json.loads(_say("20", "--json").output)
    assert (told["number"], told["name"]) == (20, "BOOTSTRAP_UNREACHABLE")
    assert _say("20").output == f"20 {told['name']}: {told['title']}\n\n{told['text']}\n"
    pages = json.loads(_say("--json").output)["pages"]
    assert [page["number"] for page in pages] == sorted({*Exit, *Number})
    assert {"number": 20, "name": told["name"], "title": told["title"]} in pages


def test_an_unknown_number_is_a_mistake_of_the_user():
    outcome = _say("7")
    assert isinstance(outcome.exception, UsageError)
    with pytest.raises(ValueError, match="7"):
        name_of(7)
