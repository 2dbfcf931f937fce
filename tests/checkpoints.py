"""What a checkpoint says that its trainer has learned, to the byte."""

import json
from pathlib import Path

from safetensors.numpy import load_file


def learned(folder: Path) -> dict[str, object]:
    """The bytes of every tensor and every counter of a checkpoint.

    All but `random`: where the process's own generator stands, from which no training here draws.
    """
    found: dict[str, object] = {"counters": json.loads((folder / "checkpoint.json").read_text())["counters"]}
    for file in sorted(folder.glob("*.safetensors")):
        found |= {name: values.tobytes() for name, values in load_file(file).items() if name != "random"}
    assert len(found) > 10, f"{folder} holds no more than {sorted(found)}"
    return found
