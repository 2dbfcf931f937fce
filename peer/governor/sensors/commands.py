"""Asks a program of the system, for as long as it is of use."""

import subprocess
from collections.abc import Sequence

PATIENCE = 2.0
"""Seconds for an answer."""

TRIES = 3
"""Failures in a row after which it is not asked again."""


class Command:
    """One question. A program that is not there, fails or hangs is given up."""

    def __init__(self, *words: str) -> None:
        self._words = words
        self._failures = 0

    def ask(self, *more: str) -> str | None:
        """Return what the program says, or None."""
        if self._failures >= TRIES:
            return None
        said = _run([*self._words, *more])
        self._failures = self._failures + 1 if said is None else 0
        return said

    def try_again(self) -> None:
        """Ask again: something has changed."""
        self._failures = 0


def _run(words: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - words of ours
            words, capture_output=True, text=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
