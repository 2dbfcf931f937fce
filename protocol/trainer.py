"""What the daemon and the trainer say to each other over their socket pair.

Tensors never pass through it: the side that has one writes its encoded bytes to a file in the shared
spool folder and names the file. The one who is told of a file owns it from then on and deletes it.
"""

from typing import Annotated

from msgspec import Meta

from protocol.codec import Message
from protocol.manifest import Manifest

MAX_IPC = 256 * 1024
"""Bytes of one frame between the two processes."""

FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,80}$")]


class State(Message, frozen=True, tag="state"):
    """Slow weights, outer momentum and progress, as a newcomer gets them from its donor.

    The file holds phi, then the outer momentum, each as flat little-endian fp32 of all parameters.
    """

    file: FileName
    inner_step: int
    outer_step: int
    tokens: int


# ---- daemon to trainer


class Begin(Message, frozen=True, tag="begin"):
    """First message, and the answer to `StateRefused`: the run, and where this peer stands in it."""

    manifest: Manifest
    peer_id: str
    home: str
    spool: str
    device: str
    shard: int
    stop_at: int | None
    """Inner step after which the trainer finishes; None: never."""
    data_path: str | None
    tokenizer_path: str | None
    state: State | None
    """A donor's state; None to resume from the last checkpoint, or to start from the seed."""


class Theirs(Message, frozen=True, tag="theirs"):
    """A partner's share has arrived whole: decode, check, and mix it with our share `share`."""

    share: int
    file: FileName
    codec: str


class NoMix(Message, frozen=True, tag="no_mix"):
    """Nothing (more) will be mixed with our share `share`: its snapshot can go; a strict trainer goes on."""

    share: int


class Capture(Message, frozen=True, tag="capture"):
    """Write the current slow weights, momentum and progress to a file, for a newcomer."""


class Finish(Message, frozen=True, tag="finish"):
    """Write a checkpoint, say `Finished`, and exit."""


# ---- trainer to daemon


class Ready(Message, frozen=True, tag="ready"):
    """The model stands on its device and training begins."""

    device: str
    parameters: int
    inner_step: int
    outer_step: int
    tokens: int
    resumed: bool


class StateRefused(Message, frozen=True, tag="state_refused"):
    """The donor's state is of no use and its file gone; the trainer waits for another `Begin` or `Finish`."""

    reason: str


class Progress(Message, frozen=True, tag="progress"):
    """After inner steps, a few times a second at the most."""

    inner_step: int
    outer_step: int
    tokens: int
    loss: float
    """Mean training loss since the last message, nats a token."""
    tokens_per_second: float
    learning_rate: float
    next_boundary: float
    """Seconds until the next outer step at the present pace."""


class Share(Message, frozen=True, tag="share"):
    """What this peer shares from now on. A new share replaces the old one.

    `fresh` is True at a boundary, and False where a mix has landed on the share of this outer step (its value
    with the correction added).
    """

    share: int
    outer_step: int
    inner_step: int
    fresh: bool
    file: FileName
    size: int
    sha256: Annotated[bytes, Meta(min_length=32, max_length=32)]
    codec: str


class Mixed(Message, frozen=True, tag="mixed"):
    """The answer to `Theirs`: the correction landed, or the share was refused and why."""

    share: int
    accepted: bool
    reason: str
    distance: float
    """Consensus distance: root mean square of theirs minus ours, over the first shared tensor."""
    relative_distance: float
    """The same over the root mean square of ours."""
    late_by: int
    """Inner steps between the boundary and the landing."""
    ours: bool = False
    """Refused through no fault of the partner's: our share is no longer kept, or our disk fails."""


class Captured(Message, frozen=True, tag="captured"):
    """The answer to `Capture`."""

    state: State
    size: int
    sha256: Annotated[bytes, Meta(min_length=32, max_length=32)]


class Checkpointed(Message, frozen=True, tag="checkpointed"):
    """A checkpoint is complete on disk."""

    inner_step: int
    path: str
    seconds: float


class CheckpointFailed(Message, frozen=True, tag="checkpoint_failed"):
    """The disk refused a checkpoint. Training goes on, and the next due time tries again."""

    inner_step: int
    reason: str


class Finished(Message, frozen=True, tag="finished"):
    """The trainer has written its last checkpoint and exits."""

    inner_step: int
    reached_stop: bool


class Failed(Message, frozen=True, tag="failed"):
    """A failure that a person can mend; restarting would not help."""

    code: int
    message: str
    remedy: str


ToTrainer = Begin | Theirs | NoMix | Capture | Finish
FromTrainer = (
    Ready
    | StateRefused
    | Progress
    | Share
    | Mixed
    | Captured
    | Checkpointed
    | CheckpointFailed
    | Finished
    | Failed
)
