"""Makes trio's schedule a function of a seed, so that a simulation that failed once fails again."""

from importlib import import_module
from typing import Any


def seed_schedule(seed: int) -> None:
    """Let every trio run from now on take its tasks in an order that `seed` decides.

    Trio shuffles tasks on purpose and keeps the switch for this private (its own tests use it, and hypothesis
    through it); this function is the one place of ours that knows it.
    """
    runtime: Any = import_module("trio._core._run")
    runtime._ALLOW_DETERMINISTIC_SCHEDULING = True  # noqa: SLF001
    runtime._r.seed(seed)  # noqa: SLF001
