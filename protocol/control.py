"""What `peer status`, `peer stop` and `peer swarm` ask of a running daemon, over its local socket."""

from typing import Annotated, Literal

from msgspec import Meta

from protocol.codec import Message

MAX_CONTROL = 64 * 1024
"""Bytes of one frame on the control socket."""


class AskStatus(Message, frozen=True, tag="ask_status"):
    """Ask how the daemon is."""


class AskStop(Message, frozen=True, tag="ask_stop"):
    """Leave cleanly: goodbye to the peers, a checkpoint, exit 0."""


class AskPause(Message, frozen=True, tag="ask_pause"):
    """Make no inner steps until `AskResume`. The answer is `Status`."""

    reason: Annotated[str, Meta(max_length=200)]
    """In a person's words; empty where none was given."""


class AskResume(Message, frozen=True, tag="ask_resume"):
    """Take `AskPause` back. The answer is `Status`: the governor may have a pause of its own."""


class AskFinish(Message, frozen=True, tag="ask_finish"):
    """End the exchange under way, write a checkpoint whatever time it takes, and leave as for `AskStop`."""


ControlCall = AskStatus | AskStop | AskPause | AskResume | AskFinish

PauseKind = Literal[
    "hand", "gpu", "keyboard", "battery", "hours", "temperature", "power", "data", "disk", "memory"
]
"""What a pause may come from."""


class Pause(Message, frozen=True):
    """Why a peer makes no inner steps."""

    kind: PauseKind
    reason: str
    """In plain words: "GPU 0 is used by blender (pid 4242)"."""
    since: float
    """Seconds since 1970."""


class Joining(Message, frozen=True):
    """How far a newcomer's fetching of the run's state has come."""

    size: int
    """Bytes of the state."""
    received: int
    """Bytes that are here and checked."""
    rate: float
    """Bytes a second, lately."""
    seconds_left: float | None
    """At that rate; None while nothing comes."""
    donors: int
    """Of whom something is being fetched now."""


class Status(Message, frozen=True, tag="status"):
    """The answer to `AskStatus`; also the object that `peer status --json` prints."""

    peer_id: str
    run_id: str
    run_name: str
    state: str
    """`starting`, `joining`, `training`, `paused`, `restarting trainer`, `finishing` (what is under way ends
    first), `finished`, or `stopping`."""
    pid: int
    trainer_pid: int | None
    """None while no trainer lives."""
    device: str
    preset: str
    codec: str
    inner_step: int
    outer_step: int
    tokens: int
    loss: float | None
    """Training loss in nats a token; None before the first step."""
    tokens_per_second: float
    exchanges: int
    skips: int
    partner: str | None
    """With whom an exchange is under way, or was last."""
    bytes_in: int
    bytes_out: int
    """Bytes of our streams and lanes, all protocols."""
    lane_bytes_out: int
    """Of them, those over lanes: connections beside libp2p, for bulk."""
    peers_in_view: int
    alone_seconds: float
    addresses: tuple[str, ...]
    trainer_restarts: int
    metrics: str | None = None
    """Where Prometheus finds this peer."""
    reachable: bool | None = None
    """Whether new connections reach this peer; None while nobody has tried."""
    nat: str = "unknown"
    """`none`, `port-preserving`, `random-port` or `unknown`."""
    circuits: int = 0
    """Of the addresses, those that lead through relays."""
    swarm_size: int = 1
    """Peers of the run, this one included, as far as neighbours tell."""
    relayed: int = 0
    """Connections that a relay carries for us."""
    joining: Joining | None = None
    """None but while the state is being fetched."""
    pause: Pause | None = None
    """Why the state is `paused`; it may also be there while the peer leaves."""


class Stopping(Message, frozen=True, tag="stopping"):
    """The answer to `AskStop` and `AskFinish`: it has begun."""

    pid: int


ControlAnswer = Status | Stopping
