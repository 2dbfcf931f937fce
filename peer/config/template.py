"""The `run.toml` that `peer init` writes: every key with its meaning, what it may hold, and its default."""

import textwrap

from peer.config.describe import describe, toml
from peer.config.meanings import KEY_MEANINGS, SECTION_MEANINGS
from peer.config.schema import KEYS, SECTIONS, Key, Path
from protocol.manifest import Model
from protocol.presets import PRESETS

_WIDTH = 100

EXAMPLES: dict[Path, object] = {
    ("model", "revision"): "main",
    ("model", "lora"): {"rank": 8, "alpha": 16, "targets": ["q_proj", "v_proj"]},
    ("data", "dataset"): "HuggingFaceFW/fineweb-edu",
    ("data", "subset"): "sample-10BT",
    ("data", "held_out_split"): "validation",
    ("data", "revision"): "main",
    ("data", "end"): "<|endoftext|>",
    ("data", "mixture"): [
        {"source": "shakespeare", "weight": 0.7},
        {"source": "text", "path": "my.txt", "weight": 0.3},
    ],
    ("task", "settings"): {"width": 32},
}
"""What keys without a default might hold."""

_HEADER = """\
# A Murmuration run: what every peer of it trains, and how. The signed manifest is made from this file, and
# its hash names the run: to change a value is to start another run.
# Every key may be left out; each is shown with its default.
"""


def template() -> str:
    """Return the text of a `run.toml` that gives exactly the default manifest."""
    parts = [_HEADER, *_entries(())]
    for section in SECTIONS:
        parts += [f"{_comment(SECTION_MEANINGS[section])}\n[{section}]\n", *_entries((section,))]
    return "\n".join(parts)


def _entries(section: Path) -> list[str]:
    return [_entry(key) for path, key in KEYS.items() if path[:-1] == section]


def _entry(key: Key) -> str:
    allowed = describe(key.kind)
    text = f"{KEY_MEANINGS['.'.join(key.path)]} {allowed[0].upper()}{allowed[1:]}."
    shown = EXAMPLES.get(key.path, "...") if key.default is None else key.default
    line = f"{key.path[-1]} = {toml(shown)}\n"
    if key.by_preset:
        # Written out, the default would stay when the preset beside it is changed.
        layers = Model().layers
        own = (f"{name} {toml(row.value(key.path[-1], layers))}" for name, row in PRESETS.items())
        text += f" Left out, it follows the preset: {', '.join(own)}."
    optional = key.by_preset or key.default is None
    return f"{_comment(text)}\n{'# ' if optional else ''}{line}"


def _comment(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
