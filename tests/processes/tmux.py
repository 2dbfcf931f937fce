"""A terminal for tests: a program in a pane of tmux, of which every change is an event."""

import os
import queue
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes.support import PATIENCE

MISSING = "" if shutil.which("tmux") else "tmux is not installed (apt install tmux)"


class Pane:
    """One program in a terminal of its own server of tmux."""

    def __init__(self, folder: Path, command: str, size: tuple[int, int]) -> None:
        self._tmux = ["tmux", "-u", "-f", "/dev/null", "-S", str(folder / "tmux")]
        columns, rows = (str(cells) for cells in size)
        self._run("new-session", "-d", "-x", columns, "-y", rows, "-s", "test", "sh")
        # A shell stays where the program has ended: what the terminal looks like then is a question, too.
        self._client = subprocess.Popen(
            [*self._tmux, "-C", "attach", "-t", "test"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._changes: queue.Queue[bool] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.type(f"clear; {command}; echo ended with $?\n")

    def _read(self) -> None:
        assert self._client.stdout is not None
        for line in self._client.stdout:
            if line.startswith((b"%output", b"%layout-change")):
                self._changes.put(True)
        self._changes.put(False)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._tmux, *arguments],
            capture_output=True, text=True, encoding="utf-8", check=True, timeout=PATIENCE,
            env={**os.environ, "LC_ALL": "C.UTF-8", "PS1": "$ ", "ENV": ""},
        )  # fmt: skip
        return done.stdout

    def type(self, keys: str) -> None:
        """Press keys, each as it is."""
        self._run("send-keys", "-t", "test", "-l", "--", keys)

    def press(self, key: str) -> None:
        """Press a key that has a name, such as C-c."""
        self._run("send-keys", "-t", "test", key)

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        self._run("resize-window", "-t", "test", "-x", str(columns), "-y", str(rows))

    def screen(self, *, colours: bool = False) -> list[str]:
        """The lines that it shows."""
        return self._run("capture-pane", "-p", "-t", "test", *(["-e"] if colours else [])).splitlines()

    def wait_for(self, check: Callable[[list[str]], bool]) -> list[str]:
        """Return the first screen, from now on, that passes the check."""
        deadline = time.monotonic() + PATIENCE
        while not check(shown := self.screen()):
            try:
                alive = self._changes.get(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                alive = False
            if not alive:
                raise AssertionError("the screen never came to it:\n" + "\n".join(shown))
        return shown

    def end(self) -> None:
        """End the server and all that runs in it."""
        self._run("kill-server")
        self._client.communicate(timeout=PATIENCE)


@contextmanager
def pane(folder: Path, command: str, size: tuple[int, int] = (80, 24)) -> Iterator[Pane]:
    """Run a command of the shell in a terminal."""
    made = Pane(folder, command, size)
    try:
        yield made
    finally:
        made.end()


def peer(*arguments: str, before: str = "") -> str:
    """Return the command that runs `peer` with these arguments; `before` sets its environment."""
    return before + shlex.join([sys.executable, "-m", "peer", *arguments])
