"""Plug-ins with a task, as an installer would leave them: a module, and what names its entry point."""

from itertools import count
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHAPES = (ROOT / "examples" / "shapes" / "murmuration_shapes.py").read_text(encoding="utf-8")

_numbers = count()


def install(
    site: Path,
    source: str = SHAPES,
    *,
    name: str = "shapes",
    package: str = "murmuration-shapes",
    version: str = "1.0",
    attribute: str = "Shapes",
    module: str | None = None,
) -> Path:
    """Install a plug-in into the folder `site`; return its module's file, whose name no other one had."""
    module = module or f"plugin_{next(_numbers)}"
    written = package.replace("-", "_")  # as every installer writes it, and Python tells packages apart by
    info = site / f"{written}-{version}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[murmuration.tasks]\n{name} = {module}:{attribute}\n")
    file = site / f"{module}.py"
    file.write_text(source)
    return file
