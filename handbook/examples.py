"""The files of the examples, as they are."""

from pathlib import Path

SHAPES = Path(__file__).parents[1] / "examples" / "shapes"


def task() -> str:
    """Return the example of a task."""
    return _shown("murmuration_shapes.py", "python")


def package() -> str:
    """Return what makes a package of it."""
    return _shown("pyproject.toml", "toml")


def run() -> str:
    """Return a run of it."""
    return _shown("run.toml", "toml")


def _shown(name: str, language: str) -> str:
    return f'```{language} title="{name}"\n{(SHAPES / name).read_text(encoding="utf-8")}```'
