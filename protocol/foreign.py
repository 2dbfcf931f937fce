"""Models that are not the built-in one, as a manifest names them: by content, so that all train the same.

Each peer brings the model itself: a base model from its own disk or the Hugging Face Hub, a task from a
plug-in that it has installed. Neither ever comes from another peer.
"""

from typing import Annotated

from msgspec import Meta, field

from protocol.codec import Message
from protocol.layout import Layout
from protocol.limits import MAX_OBJECT

Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
Source = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ /-]*\Z")]
Revision = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z")]
Target = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.]{0,63}\Z")]

TaskName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Package = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]
Version = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+!_-]{0,63}\Z")]
SettingName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}\Z")]
Setting = (
    bool
    | Annotated[int, Meta(ge=-(2**53), le=2**53)]
    | Annotated[float, Meta(ge=-1e300, le=1e300)]
    | Annotated[str, Meta(max_length=200)]
)
Settings = Annotated[dict[SettingName, Setting], Meta(max_length=64)]


class Lora(Message, frozen=True):
    """Low-rank adapters (arXiv 2106.09685): the only parameters that are trained, shared and kept."""

    rank: Annotated[int, Meta(ge=1, le=1024)] = 8
    alpha: Annotated[float, Meta(gt=0.0, le=65536.0)] = 16.0
    """An adapter's output is scaled by alpha / rank."""
    targets: Annotated[tuple[Target, ...], Meta(max_length=64)] = ()
    """Names of the matrices that get an adapter; none: all but the output projection."""


class Pretrained(Message, frozen=True, kw_only=True):
    """A causal language model of `transformers`, trained from its own weights on."""

    source: Source
    """Its name on the Hub, or that of the founder's folder, for people."""
    revision: Revision | None = None
    """Its commit on the Hub; None where the founder has it in a folder."""
    config: Digest
    """Hash of what matters in `config.json`."""
    weights: Digest
    """Hash of the safetensors files."""
    size: Annotated[int, Meta(ge=1, le=64 * MAX_OBJECT)]
    """Bytes of the safetensors files."""
    lora: Lora | None = None
    """None: all weights are trained."""
    layout: Layout


class Task(Message, frozen=True, kw_only=True):
    """A task of a plug-in: model, data, loss and evaluation. All peers of a run have the same."""

    name: TaskName
    """Its entry point in the group `murmuration.tasks`."""
    package: Package
    """The distribution that brings it, so that others know what to install."""
    version: Version
    """The distribution's."""
    source: Digest
    """Hash of the plug-in's own source files."""
    settings: Settings = field(default_factory=dict)
    """With which it is made."""
    layout: Layout
