"""The reference of `run.toml` and of the presets, from the schema and the constants."""

from handbook.fields import code
from peer.config.describe import describe, toml
from peer.config.meanings import KEY_MEANINGS, SECTION_MEANINGS
from peer.config.schema import KEYS, LOCAL, SECTIONS, Key
from protocol.manifest import Model
from protocol.presets import PRESETS


def run_file() -> str:
    """Return a section for each section of `run.toml`, with a table of its keys."""
    parts = ["## Before the first section", _table(())]
    for section in SECTIONS:
        parts += [f"## [{section}]", SECTION_MEANINGS[section], _table((section,))]
    return "\n\n".join(parts)


def _table(section: tuple[str, ...]) -> str:
    rows = [_row(key) for path, key in KEYS.items() if path[:-1] == section]
    return "\n".join(["| key | may hold | default | |", "|---|---|---|---|", *rows])


def _row(key: Key) -> str:
    meaning = KEY_MEANINGS[".".join(key.path)].replace("|", "\\|")
    return f"| `{key.path[-1]}` | {describe(key.kind)} | {_default(key)} | {meaning} |"


def _default(key: Key) -> str:
    if key.path in LOCAL:
        return ""
    return "the preset's" if key.by_preset else code(toml(key.default))


def presets() -> str:
    """Return the table of what each preset stands for."""
    layers = Model().layers
    keys = [path[-1] for path, key in KEYS.items() if key.by_preset]
    head = " | ".join(f"`{name}`" for name in PRESETS)
    rows = [
        f"| `{key}` | " + " | ".join(toml(preset.value(key, layers)) for preset in PRESETS.values()) + " |"
        for key in keys
    ]
    return "\n".join([f"| | {head} |", "|---" * (len(PRESETS) + 1) + "|", *rows])
