"""The keys of `run.toml`: the manifest's own fields, less those that are computed, plus local paths."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_type_hints

import msgspec
from msgspec import NODEFAULT, Meta

from protocol.foreign import Lora, Revision, Settings, TaskName
from protocol.manifest import MAX_PARTS, Manifest
from protocol.streamed import Column, Dataset, Shuffle, Split, Subset

Path = tuple[str, ...]
"""The names that lead to a key: `("inner", "batch")`, or `("name",)` for one outside every section."""

_INSTALLED = "it is found in the installed plug-in that task.name names"

COMPUTED: dict[Path, str] = {
    ("protocol",): "it is the version of this program",
    ("founder",): "it is the key of the peer that makes the manifest",
    ("model", "sha256"): "it is computed from the file that model.path names",
    ("model", "pretrained"): "it is computed from the model that model.source names",
    ("data", "sha256"): "it is computed from the file that data.path names",
    ("tokenizer", "sha256"): "it is computed from the file that tokenizer.path names",
    ("task", "package"): _INSTALLED,
    ("task", "version"): _INSTALLED,
    ("task", "source"): _INSTALLED,
    ("task", "layout"): _INSTALLED,
}
"""Fields of the manifest that nobody sets by hand, and why."""

FilePath = Annotated[str, Meta(min_length=1)]

ASKED: dict[Path, object] = {
    ("model", "kind"): Literal["builtin", "hf"],
    ("model", "source"): FilePath,
    ("model", "revision"): Revision,
    ("model", "lora"): Lora,
    ("task", "name"): TaskName,
    ("task", "settings"): Settings,
    ("data", "dataset"): FilePath,
    ("data", "subset"): Subset,
    ("data", "split"): Split,
    ("data", "held_out_split"): Split,
    ("data", "column"): Column,
    ("data", "revision"): Revision,
    ("data", "end"): Annotated[str, Meta(min_length=1, max_length=64)],
    ("data", "shuffle"): Shuffle,
    ("data", "mixture"): Annotated[
        list[dict[str, object]],
        Meta(
            min_length=1,
            max_length=MAX_PARTS,
            description=f"a list of 1 to {MAX_PARTS} tables, each with the keys of one source",
        ),
    ],
}
"""Keys that are no fields: a process that can load the model looks at what they name, for the manifest."""

ASKED_DEFAULTS: dict[Path, object] = {
    ("model", "kind"): "builtin",
    **{
        ("data", field.name): field.default
        for field in msgspec.structs.fields(Dataset)
        if field.name in ("split", "column", "shuffle")
    },
}

STREAM_KEYS = ("dataset", "subset", "split", "held_out_split", "column", "revision", "end", "shuffle")
"""Keys of [data] that say what is streamed."""

LOCAL: tuple[Path, ...] = (("data", "path"), ("tokenizer", "path"), ("model", "path"))
"""Keys that stay on this host and never enter the manifest."""

BY_PRESET: tuple[Path, ...] = tuple(
    ("outer", name)
    for name in (
        "alpha",
        "beta",
        "overlap",
        "seeks",
        "mixes",
        "group",
        "fragments",
        "landing",
        "keep",
        "warming",
    )
)
"""Keys that follow the preset where they are left out."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its type, and its default, which is None where there is none."""

    path: Path
    kind: object
    default: object

    @property
    def by_preset(self) -> bool:
        """Whether the key follows the preset where it is left out."""
        return self.path in BY_PRESET


def _keys_of(struct: type[msgspec.Struct], prefix: Path) -> dict[Path, Key]:
    hints = get_type_hints(struct, include_extras=True)
    keys: dict[Path, Key] = {}
    for field in msgspec.structs.fields(struct):
        path, kind = (*prefix, field.name), hints[field.name]
        if path == ("task",):
            keys |= _asked(path)
            continue
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            keys |= _keys_of(kind, path)
        elif path not in COMPUTED and path not in ASKED and field.default is not NODEFAULT:
            keys[path] = Key(path, kind, field.default)
    for path in LOCAL:
        if path[:-1] == prefix:
            keys[path] = Key(path, FilePath, None)
    return keys | _asked(prefix)


def _asked(section: Path) -> dict[Path, Key]:
    return {
        path: Key(path, kind, ASKED_DEFAULTS.get(path))
        for path, kind in ASKED.items()
        if path[:-1] == section
    }


KEYS: dict[Path, Key] = _keys_of(Manifest, ())
"""Every key that `run.toml` may have, in the manifest's order."""

SECTIONS: tuple[str, ...] = tuple(dict.fromkeys(path[0] for path in KEYS if len(path) == 2))
"""Every section that `run.toml` may have, in the manifest's order."""


def names_in(section: Path) -> list[str]:
    """Return the keys of a section; `()` stands for the top, before the first section."""
    return [path[-1] for path in KEYS if path[:-1] == section]
