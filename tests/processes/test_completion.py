"""Completion as a person gets it: installed in a fresh shell, which then completes at the Tab key."""

import shlex
import shutil
import sys

import pytest

from tests.processes.tmux import MISSING, pane

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]

SHELLS = {"bash": "\t", "zsh": "\t\t", "fish": "\t"}
"""Of each the keys for the first completion: in zsh the first Tab only loads what was installed."""


def _has(words):
    return lambda lines: any(words in line for line in lines)


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_installed_completes_commands_and_options(tmp_path, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    program, home = tmp_path / "bin" / "peer", tmp_path / "home"
    for folder in (program.parent, home):
        folder.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m peer "$@"\n')
    program.chmod(0o755)
    (home / ".zshrc").touch()  # without one, zsh asks what to put there
    start = f"env HOME={home} PATH={program.parent}:$PATH {shell} -i"
    with pane(tmp_path, start) as terminal:
        terminal.type("peer --install-completion\n")
        terminal.wait_for(_has("completion installed in"))
        terminal.type(f"clear; exec {shell} -i\n")
        terminal.type("echo re''ady\n")
        terminal.wait_for(_has("ready"))
        terminal.type("peer stat" + SHELLS[shell])
        terminal.wait_for(_has("peer status"))
        terminal.type("--js\t")
        terminal.wait_for(_has("peer status --json"))
