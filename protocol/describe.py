"""What a daemon asks of a process that may load torch: how a model or data set stands in a manifest.

JSON, one object each way: the question on standard input, the answer on standard output.
"""

from protocol.codec import Message
from protocol.foreign import Lora, Pretrained, Settings, Task, TaskName
from protocol.manifest import Manifest, Tokenizer
from protocol.streamed import Dataset, Streamed
from protocol.trainer import Failed

MAX_DESCRIPTION = 64 * 1024
"""Bytes of one answer."""


class AskPretrained(Message, frozen=True, tag="pretrained"):
    """Look at a base model and describe it."""

    source: str
    """A folder, or a name on the Hub."""
    revision: str | None
    lora: Lora | None
    context: int
    folder: str | None = None
    """Where a folder of that name was looked for."""


class AskTask(Message, frozen=True, tag="task"):
    """Try an installed task and describe it."""

    name: TaskName
    settings: Settings
    draft: Manifest
    """The run, as far as it is known."""


class AskSame(Message, frozen=True, tag="same"):
    """See that the base model here is the one that a run names. The answer is empty."""

    pretrained: Pretrained
    place: str | None
    """Where it is here; None for the Hub."""


class AskDataset(Message, frozen=True, tag="dataset"):
    """Look at a data set of `datasets` and describe it."""

    streamed: Streamed
    tokenizer: str | None
    """The tokenizer file; None for bytes, or for the base model's own."""
    base: AskPretrained | None
    """Whose tokenizer it is, where it is the base model's own."""


class Described(Message, frozen=True, tag="described"):
    """What enters the manifest."""

    pretrained: Pretrained | None = None
    tokenizer: Tokenizer | None = None
    """The base model's own; without its hash where it comes with none."""
    task: Task | None = None
    dataset: Dataset | None = None
    fetched: int = 0
    """Bytes that came over the network for it."""


class NotDescribed(Failed, frozen=True, tag="failed"):
    """Why there is no answer."""

    fetched: int = 0
    """Bytes that had come over the network for one by then."""


Question = AskPretrained | AskTask | AskSame | AskDataset
Answer = Described | NotDescribed
