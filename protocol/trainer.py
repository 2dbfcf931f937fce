"""What the daemon and the trainer say to each other over their socket pair.

Tensors never pass through it: the side that has one writes its encoded bytes to a file in the shared
spool folder and names the file. The one who is told of a file owns it from then on and deletes it.
"""

import math
from typing import Annotated, Literal

from msgspec import Meta

from protocol.codec import Message
from protocol.fetching import Download, Fetched
from protocol.gpu import Gpu
from protocol.limits import MAX_GROUP, MAX_STANDING, MAX_VOTERS, MAX_VOTES
from protocol.manifest import Manifest

MAX_IPC = 256 * 1024
"""Bytes of one frame between the two processes."""

FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,80}$")]


class Blob(Message, frozen=True):
    """A file of the spool folder, and what the daemon needs to offer it to others."""

    file: FileName
    size: int
    sha256: Annotated[bytes, Meta(min_length=32, max_length=32)]


class State(Message, frozen=True, tag="state"):
    """Slow weights, outer momentum and progress, as a newcomer gets them from its donors.

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
    data_paths: tuple[str, ...]
    """Of the sources of text that each peer brings, in the manifest's order."""
    tokenizer_path: str | None
    weights_path: str | None
    batch: int | None
    """Sequences of one inner step on this host; None: the manifest's."""
    state: State | None
    """A donor's state; None to resume from the last checkpoint, or to start from the seed."""
    votes: FileName | None = None
    """`onebyte`: the whole ledger, a file of `Logs`. Votes that it lacks are withdrawn."""
    model_path: str | None = None
    """The base model on this host: a folder, or a name on the Hub."""
    allowed_task: str | None = None
    """The task whose code this host's owner lets run."""
    gpu_memory: float | dict[int, float] | None = None
    """What may be taken of each GPU's memory, or of these by number: a share up to 1, otherwise bytes."""
    micro_batch: int | None = None
    """The most sequences in one pass through a device; None: as many as fit."""
    out_of_memory: bool = False
    """The trainer before was ended by the system, as the memory of this host ran out."""
    memory: float | None = None
    """Bytes that the trainer may take of the machine's memory; None for all that is free."""
    download: float = math.inf
    """Bytes a second that the trainer itself may fetch, until `Download` says otherwise."""

    @property
    def sequences(self) -> int:
        """Of one inner step on this host: all ranks must agree on it."""
        return self.batch or self.manifest.inner.batch


class Encode(Message, frozen=True, tag="encode"):
    """Write our share `share` for one receiver. The answer is `Encoded`."""

    share: int
    codec: str
    bits: int
    """Of a value, where the codec is `modulo`."""
    bounds: FileName | None
    """How far the receiver expects to be from us, block by block; None where the codec needs none."""


class Open(Message, frozen=True, tag="open"):
    """A partner's share has arrived: decode it beside our share `share`. The answer is `Opened`."""

    share: int
    file: FileName
    codec: str


class EncodeAgain(Message, frozen=True, tag="encode_again"):
    """Write the blocks of our share that the receiver could not decode with more bits, for `Encoded`."""

    share: int
    failed: FileName


class OpenAgain(Message, frozen=True, tag="open_again"):
    """The blocks that failed have come with more bits. The answer is `Opened`."""

    share: int
    file: FileName


class Theirs(Message, frozen=True, tag="theirs"):
    """A partner's share has arrived whole: decode, check, and mix it with our share `share`."""

    share: int
    file: FileName | None
    """None: what `Open` has decoded for this share."""
    codec: str
    tokens: int
    """Tokens that the partner trained for its share."""
    standing: Annotated[int, Meta(ge=0, le=MAX_STANDING)]
    """What the partner's share counts for: less where it has just come."""


class Split(Message, frozen=True, tag="split"):
    """Write our share `share` in so many parts of equal length, for a group. The answer is `Parts`."""

    share: int
    parts: Annotated[int, Meta(ge=2, le=MAX_GROUP)]
    codec: str
    together: bool
    """All members began this outer step from the same slow weights and momentum: fast weights are enough.
    Otherwise what the step made of both is averaged, and all are together again."""


class Member(Message, frozen=True):
    """One member's part, as it came."""

    file: FileName
    weight: float


class Reduce(Message, frozen=True, tag="reduce"):
    """Average one part over the members that sent it, ourselves among them. The answer is `Reduced`."""

    share: int
    part: int
    members: Annotated[tuple[Member, ...], Meta(min_length=1, max_length=MAX_GROUP)]


class Assemble(Message, frozen=True, tag="assemble"):
    """The averages of all parts are here, in order: mix them with our share. The answer is `Mixed`."""

    share: int
    parts: Annotated[tuple[FileName, ...], Meta(min_length=2, max_length=MAX_GROUP)]
    weight: float
    """Our own weight in the average, 0 to 1."""


class NoMix(Message, frozen=True, tag="no_mix"):
    """Nothing (more) will be mixed with our share `share`: its snapshot can go; a strict trainer goes on."""

    share: int


class Keep(Message, frozen=True, tag="keep"):
    """The partner may mix with our share `share` from now on: keep it, however many boundaries pass.

    One share at a time is kept so: the next `Keep` ends the one before.
    """

    share: int


class Capture(Message, frozen=True, tag="capture"):
    """Write the current slow weights, momentum and progress to a file, for a newcomer."""


class Log(Message, frozen=True):
    """From this position on, the voter's log is this and nothing more."""

    voter: Annotated[bytes, Meta(min_length=32, max_length=32)]
    start: Annotated[int, Meta(ge=0, le=MAX_VOTES)]
    votes: Annotated[bytes, Meta(max_length=MAX_VOTES)]


class Logs(Message, frozen=True):
    """Votes in a file of the spool folder."""

    logs: Annotated[tuple[Log, ...], Meta(max_length=MAX_VOTERS)]


class Votes(Message, frozen=True, tag="votes"):
    """Count these votes, a file of `Logs`. The answer is `Tallied`."""

    file: FileName


class Settled(Message, frozen=True, tag="settled"):
    """The others have all our votes: the trainer may end, as it has said that it would."""


class Pause(Message, frozen=True, tag="pause"):
    """Make no inner step after the one under way, and go on answering. The answer is `Paused`."""


class Resume(Message, frozen=True, tag="resume"):
    """Make inner steps again, as if nothing had been."""


class Slept(Message, frozen=True, tag="slept"):
    """The machine was asleep, and the others have gone on: what the trainer has is as after a pause."""


class Save(Message, frozen=True, tag="save"):
    """Write a checkpoint now, and go on: `Checkpointed` or `CheckpointFailed` answers."""


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
    gpus: tuple[Gpu, ...] = ()
    name: str = ""
    """What the device calls itself, such as "NVIDIA GeForce RTX 4090"."""
    memory: int | None = None
    """Bytes of memory of one device; None where nobody says."""
    ranks: int = 1
    """Processes, each with a device of its own, that share every inner step."""
    unused: str = ""
    """A GPU that is here, and that nobody asked for: `mps`."""


How = Literal["found", "remembered", "lowered"]
"""By passes that were made to try, by the home since an earlier start, or as memory ran out."""


class Fitted(Message, frozen=True, tag="fitted"):
    """So many sequences pass through a device at once: with the first inner step, and when it changes."""

    micro_batch: int
    batch: int
    """Sequences of one inner step that pass through one device: in several parts, where they are more."""
    how: How


class StateRefused(Message, frozen=True, tag="state_refused"):
    """The donor's state is of no use and its file gone; the trainer waits for another `Begin` or `Finish`."""

    reason: str
    ours: bool = False
    """It is our own disk that refused."""


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
    with the correction added). A new share replaces the old one of the same fragment.
    """

    share: int
    fragment: int
    outer_step: int
    inner_step: int
    tokens: int
    """Tokens trained for it: since the last outer step of its fragment."""
    standing: int
    """What it counts for: 0 where we have just come, up to `MAX_STANDING`."""
    fresh: bool
    mixed: int
    """Mixes of this outer step that are in it."""
    codec: str
    """In which it will be sent."""
    body: Blob | None
    """What partners pull; None where it is encoded for each receiver when it is asked for."""
    bounds: Blob | None
    """How far we expect a partner to be, block by block, for a partner that encodes for us; None at first."""
    reference: Annotated[bytes, Meta(min_length=32, max_length=32)] | None
    """Hash of the slow weights and the momentum that the outer step began from; None where pairs mix."""


class ShareFailed(Message, frozen=True, tag="share_failed"):
    """The spool folder's disk refused a share. Training goes on: this outer step is a skip."""

    outer_step: int
    reason: str


class Encoded(Message, frozen=True, tag="encoded"):
    """The answer to `Encode` and `EncodeAgain`."""

    share: int
    body: Blob | None
    reason: str = ""
    """Why there is no body."""
    ours: bool = True
    """There is none through no fault of the partner's."""


class Opened(Message, frozen=True, tag="opened"):
    """The answer to `Open` and `OpenAgain`: it is decoded, or blocks of it failed, or it is no good."""

    share: int
    failed: Blob | None
    """The list of blocks that failed, for the sender."""
    failed_blocks: int
    blocks: int
    reason: str
    """Why the bytes are of no use; empty where they are, or may be once the failed blocks have come again."""
    ours: bool = False
    """Of no use through no fault of the partner's."""


class Parts(Message, frozen=True, tag="parts"):
    """The answer to `Split`; empty where our share is no longer kept."""

    share: int
    parts: tuple[Blob, ...]


class Reduced(Message, frozen=True, tag="reduced"):
    """The answer to `Reduce`."""

    share: int
    part: int
    body: Blob | None
    """None where there is no average: our share is no longer kept, or nobody's part was fit."""
    refused: tuple[int, ...]
    """Members, by their place in the question, whose part was not fit and is not in the average."""


class Voted(Message, frozen=True, tag="voted"):
    """Our own next votes, which the trainer has counted already."""

    start: Annotated[int, Meta(ge=0, le=MAX_VOTES)]
    """Their position in our log."""
    votes: bytes
    final: bool
    """No more will come: the trainer counts on until `Settled` or `Finish`."""


class Tallied(Message, frozen=True, tag="tallied"):
    """The answer to `Votes`: so many votes are in the weights now."""

    votes: int


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

    state: State | None
    """None where the spool folder's disk refused it."""
    size: int = 0
    hashes: bytes = b""
    """SHA-256 of each chunk (`protocol.state_index`), one after the other."""


class Checkpointed(Message, frozen=True, tag="checkpointed"):
    """A checkpoint is complete on disk."""

    inner_step: int
    path: str
    seconds: float


class CheckpointFailed(Message, frozen=True, tag="checkpoint_failed"):
    """The disk refused a checkpoint. Training goes on, and the next due time tries again."""

    inner_step: int
    reason: str


class Waiting(Message, frozen=True, tag="waiting"):
    """There is no data for the next inner step, so none is made; or there is again."""

    reason: str | None
    """Why there is none, in plain words; None: it is there."""
    inner_step: int | None = None
    """None where training has not begun."""


class Paused(Message, frozen=True, tag="paused"):
    """The answer to `Pause`, unless `Resume` was quicker: no inner step is being made."""

    inner_step: int


class Finished(Message, frozen=True, tag="finished"):
    """The trainer has written its last checkpoint and exits."""

    inner_step: int
    reached_stop: bool


class Failed(Message, frozen=True, tag="failed"):
    """A failure that a person can mend; restarting would not help."""

    code: int
    message: str
    remedy: str


ToTrainer = (
    Begin
    | Encode
    | Open
    | EncodeAgain
    | OpenAgain
    | Theirs
    | Split
    | Reduce
    | Assemble
    | NoMix
    | Keep
    | Capture
    | Votes
    | Settled
    | Download
    | Pause
    | Resume
    | Slept
    | Save
    | Finish
)
FromTrainer = (
    Ready
    | Fitted
    | Fetched
    | StateRefused
    | Progress
    | Share
    | ShareFailed
    | Encoded
    | Opened
    | Parts
    | Reduced
    | Mixed
    | Captured
    | Voted
    | Tallied
    | Checkpointed
    | CheckpointFailed
    | Paused
    | Waiting
    | Finished
    | Failed
)
