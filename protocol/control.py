"""What commands ask of a running daemon, over its local socket: `peer status`, `top`, `stop`, `swarm`."""

from typing import Annotated, Literal

from msgspec import Meta

from protocol.codec import Message

MAX_CONTROL = 64 * 1024
"""Bytes of one frame on the control socket."""


class AskStatus(Message, frozen=True, tag="ask_status"):
    """Ask how the daemon is."""


class AskDetail(Message, frozen=True, tag="ask_detail"):
    """Ask for all that a person may want to watch."""


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


ControlCall = AskStatus | AskDetail | AskStop | AskPause | AskResume | AskFinish

PauseKind = Literal[
    "hand",
    "gpu",
    "keyboard",
    "battery",
    "hours",
    "temperature",
    "power",
    "data",
    "disk",
    "memory",
    "stream",
]
"""What a pause may come from: `data` is the month's traffic, `stream` a data set that does not come."""


class Pause(Message, frozen=True):
    """Why a peer makes no inner steps."""

    kind: PauseKind
    reason: str
    """In plain words: "GPU 0 is used by blender (pid 4242)"."""
    since: float
    """Seconds since 1970."""


class Month(Message, frozen=True):
    """Traffic of this calendar month, both ways together, in bytes."""

    name: str
    """November."""
    used: int
    limit: float | None
    """The most that it may be."""


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
    """`starting`, `joining`, `training`, `catching up` (the others were left ahead; it trains meanwhile),
    `paused`, `restarting trainer`, `finishing` (what is under way ends first), `finished`, or `stopping`."""
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
    """Training loss in nats a token, or in the unit of the plug-in's task; None before the first step."""
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
    behind: int | None = None
    """Outer steps that the others are ahead, where it is `catching up`."""
    stayed_behind: str = ""
    """Why it could not catch up the last time, until it does or mixes again."""
    pause: Pause | None = None
    """Why the state is `paused`; it may also be there while the peer leaves. The first of `pauses`."""
    task: str | None = None
    """The plug-in's task that the run trains, whose examples are counted as tokens."""
    pauses: tuple[Pause, ...] = ()
    """Every reason why it pauses: it goes on once none is left."""
    unwatched: tuple[str, ...] = ()
    """Limits that nothing on this machine watches, and why."""
    month: Month | None = None
    device_name: str = ""
    """What the device calls itself; empty while no trainer has begun."""
    ranks: int = 1
    """Devices that share every inner step."""
    micro_batch: int | None = None
    """Sequences that pass through a device at once; None before the first step."""


class Stopping(Message, frozen=True, tag="stopping"):
    """The answer to `AskStop` and `AskFinish`: it has begun."""

    pid: int


MOST_EXCHANGES = 16
MOST_LINKS = 64
MOST_TRANSFERS = 32
"""Of each, as many as an answer holds."""

LONGEST_REASON = 120
"""Characters of an exchange's reason in an answer: a terminal shows no more."""


class Exchanged(Message, frozen=True):
    """One exchange that has ended."""

    time: float
    """Seconds since 1970, by this host's clock, at its end."""
    partner: str
    result: str
    """`done`, `refused` (by our check), `failed`, or `void` where the fault was ours."""
    reason: str
    """Why it was not done."""
    seconds: float
    bytes_in: int
    bytes_out: int
    relative_distance: float | None
    """Root mean square of theirs minus ours, over that of ours; None where nothing was mixed."""
    outer_step: int
    fragment: int


class Link(Message, frozen=True):
    """How a peer in view is connected to this one."""

    peer: str
    way: str
    """`direct`, `relayed`, or `none` while no connection is open."""
    lanes: int
    """Connections beside it, for bulk."""
    rate_in: float | None
    rate_out: float | None
    """Bytes a second of what it gave us, and of what we gave it, lately; None where nothing passed."""
    round_trip: float | None
    """Seconds."""
    avoided: float
    """Seconds for which nothing is exchanged with it, as the last exchange failed."""


class Transfer(Message, frozen=True):
    """An object on its way."""

    peer: str
    outward: bool
    """It takes it of us."""
    size: int
    moved: int
    seconds: float
    """Since it began."""


class Detail(Message, frozen=True, tag="detail"):
    """The answer to `AskDetail`; also the object that `peer top --json` prints."""

    status: Status
    time: float
    """Seconds since 1970, by this host's clock."""
    uptime: float
    """Seconds since the daemon started."""
    every: int
    """H, the inner steps between two outer steps."""
    next_boundary: float | None
    """Seconds to the next outer step, at the present pace; None while nothing trains."""
    seconds_per_step: float | None
    learning_rate: float | None
    losses: tuple[tuple[int, float], ...]
    """Inner step and mean training loss up to it, in nats a token, over the whole run; 256 at the most."""
    recent: tuple[Exchanged, ...]
    """The last exchanges, the newest last."""
    failed: int
    refused: int
    """Exchanges that broke off, and that came whole but were not fit to mix, since the daemon started."""
    links: tuple[Link, ...]
    transfers: tuple[Transfer, ...]
    disk_free: int
    """Bytes, where the home is."""
    splits: int
    """How often another half of the run was found."""
    torn: bool
    """Many peers fell silent lately: a partition, or this host's line."""


ControlAnswer = Status | Detail | Stopping
