"""Everything worth telling that happens to a peer, as values: one line of `events.log` each."""

from typing import Literal

from peer.telemetry.behind_events import CaughtUp, FellBehind, StayedBehind
from peer.telemetry.event import Event
from peer.telemetry.format import format_bytes, format_seconds, short_peer, unused_in_words
from peer.telemetry.limit_events import DiskShort, LimitsChanged, LimitsRefused, Unwatched, Uses, WillUse


class Started(Event, frozen=True, kw_only=True):
    """The daemon listens."""

    peer_id: str
    version: str
    addresses: tuple[str, ...]

    def _words(self) -> str:
        return f"peer {self.peer_id} (version {self.version}) listens on {', '.join(self.addresses)}"


class MetricsServed(Event, frozen=True, kw_only=True):
    """The metrics can be scraped."""

    url: str

    def _words(self) -> str:
        return f"metrics at {self.url}"


class Joined(Event, frozen=True, kw_only=True):
    """The peer has a manifest: its founder's own, a cached one, or one from the swarm."""

    run_id: str
    run_name: str
    preset: str

    def _words(self) -> str:
        return f"in run {self.run_name!r} ({self.run_id[:12]}), outer rule {self.preset}"


class ManifestRefused(Event, frozen=True, kw_only=True):
    """A peer holds another manifest."""

    peer: str
    fields: tuple[str, ...]

    def _words(self) -> str:
        return f"{short_peer(self.peer)} is in another run: {'; '.join(self.fields)}"


class PeerSeen(Event, frozen=True, kw_only=True):
    """A peer of the run has answered and is in the view."""

    peer: str

    def _words(self) -> str:
        return f"peer {short_peer(self.peer)} is here"


class PeerGone(Event, frozen=True, kw_only=True):
    """A peer has left the view: `goodbye` if it said so, `silent` if it stopped answering."""

    peer: str
    reason: str

    def _words(self) -> str:
        why = {"goodbye": "it said goodbye", "silent": "it no longer answers"}.get(self.reason, self.reason)
        return f"peer {short_peer(self.peer)} is gone: {why}"


class Alone(Event, frozen=True, kw_only=True):
    """No live peer is in view any more, or yet."""

    def _words(self) -> str:
        return "ALONE: no other peer is in view, so there is nobody to exchange with; looking for others"


class NoLongerAlone(Event, frozen=True, kw_only=True):
    """The first live peer is in view after a time alone."""

    seconds: float

    def _words(self) -> str:
        return f"no longer alone, after {format_seconds(self.seconds)}"


class SplitNoticed(Event, frozen=True, kw_only=True):
    """Two halves of the run that did not know each other have met; they are joined from now on."""

    peer: str
    ours: int
    theirs: int

    def _words(self) -> str:
        return (
            f"SPLIT: {short_peer(self.peer)} is of another half of this run, {self.theirs} peers that our "
            f"{self.ours} did not know; joining them"
        )


class ReachChanged(Event, frozen=True, kw_only=True):
    """It is known how others reach us, or it has changed."""

    reachable: bool | None
    """Whether new connections reach us; None while nobody has tried."""
    nat: str
    """`none`, `port-preserving`, `random-port` or `unknown`."""
    addresses: tuple[str, ...]
    """What others are told."""
    circuits: tuple[str, ...] = ()
    """Of these, the ways through relays."""
    relaying: bool = False

    def _words(self) -> str:
        if self.reachable:
            relay = "; a relay for those who cannot" if self.relaying else ""
            return f"others can dial this peer at {', '.join(self.addresses)}{relay}"
        if self.reachable is None:
            return f"announcing {', '.join(self.addresses) or 'no address yet'}"
        router = f" (router: {self.nat})" if "port" in self.nat else ""
        relays = len(self.circuits)
        how = f"{relays or 'no'} relay{'s' * (relays > 1)}"
        return f"NOBODY CAN DIAL THIS PEER{router}; reached through {how}; see `peer doctor`"


class TrainerStarted(Event, frozen=True, kw_only=True):
    """The trainer process has its model on its device."""

    device: str
    """Several that train together have commas between them."""
    parameters: int
    inner_step: int
    resumed: bool
    name: str = ""
    """What the device calls itself."""
    memory: int | None = None
    """Bytes of one device; None where nobody says."""
    ranks: int = 1
    """Processes that share every inner step, each with a device of its own."""
    unused: str = ""
    """A GPU that is here, and that nobody asked for."""

    def _words(self) -> str:
        how = "resumed" if self.resumed else "started"
        held = "" if self.memory is None else f", {format_bytes(self.memory)}"
        # Ranks on the CPU have its memory together.
        each = " each" if self.ranks > 1 and not self.device.startswith("cpu") else ""
        called = f" ({self.name}{held}{each})" if self.name else ""
        where = f"{self.device}{called}"
        hint = f"; {unused_in_words(self.unused)}" if self.unused else ""
        return f"trainer {how} at step {self.inner_step} on {where}, {self.parameters:,} parameters{hint}"


class BatchFitted(Event, frozen=True, kw_only=True):
    """How many sequences pass through the device at once: known at the first step, or as memory ran out."""

    micro_batch: int
    batch: int
    """Sequences of one inner step that pass through one device."""
    how: Literal["found", "remembered", "lowered"]

    def _words(self) -> str:
        whole = self.micro_batch >= self.batch
        if self.how == "lowered":
            return f"MEMORY RAN OUT: batches of {self.batch} pass {self.micro_batch} at a time from now on"
        remembered = " (as before)" if self.how == "remembered" else ""
        if whole:
            return f"batches of {self.batch} fit into memory whole{remembered}"
        return f"batches of {self.batch} pass {self.micro_batch} at a time{remembered}"


class TrainerDied(Event, frozen=True, kw_only=True):
    """The trainer process ended unasked; `restarts` counts this time."""

    code: int
    restarts: int
    said: str = ""
    """The last line that it wrote, often why it ended; empty where it wrote none."""
    log: str = ""
    """The file with all that it wrote."""

    def _words(self) -> str:
        how = f"was killed by signal {-self.code}" if self.code < 0 else f"exited with code {self.code}"
        said = f": {self.said}" if self.said else ""
        log = f"; its log is {self.log}" if self.log else ""
        return f"trainer {how}{said}; restart {self.restarts} follows{log}"


class Paused(Event, frozen=True, kw_only=True):
    """No inner steps are being made, or the reason is another now."""

    kind: str
    """`hand`, or the governor's rule: a `protocol.control.PauseKind`."""
    reason: str
    inner_step: int | None
    """None where the trainer has not begun."""

    def _words(self) -> str:
        where = "before the trainer began" if self.inner_step is None else f"at step {self.inner_step}"
        return f"paused: {self.reason} ({where})"


class Resumed(Event, frozen=True, kw_only=True):
    """Inner steps are made again."""

    reason: str
    """Of the pause that is over."""
    seconds: float

    def _words(self) -> str:
        return f"resumed after {format_seconds(self.seconds)}; the pause was: {self.reason}"


class Checkpointed(Event, frozen=True, kw_only=True):
    """A checkpoint is complete on disk."""

    inner_step: int
    path: str
    seconds: float

    def _words(self) -> str:
        return f"checkpoint of step {self.inner_step} in {format_seconds(self.seconds)}: {self.path}"


class CheckpointFailed(Event, frozen=True, kw_only=True):
    """The disk refused a checkpoint; training goes on, and the next one is tried in its time."""

    inner_step: int
    reason: str

    def _words(self) -> str:
        return f"NO CHECKPOINT of step {self.inner_step}: {self.reason}"


class ShareFailed(Event, frozen=True, kw_only=True):
    """The spool folder's disk refused a share; training goes on, and this outer step is a skip."""

    outer_step: int
    reason: str

    def _words(self) -> str:
        return f"NOTHING TO SHARE of outer step {self.outer_step}: {self.reason}"


class ShareReady(Event, frozen=True, kw_only=True):
    """An outer step was taken, and its share can be pulled."""

    outer_step: int
    inner_step: int
    codec: str
    size: int
    """0 where the share is written for each partner when it asks."""
    fragment: int = 0
    loss: float | None = None
    """What the trainer reported last."""

    def _words(self) -> str:
        what = format_bytes(self.size) if self.size else "weights"
        at = f"step {self.inner_step}" + ("" if self.loss is None else f", loss {self.loss:.3f}")
        return f"outer step {self.outer_step} ({at}): shares {what} as {self.codec}"


class ExchangeDone(Event, frozen=True, kw_only=True):
    """An exchange ended with its mix in the weights."""

    partner: str
    seconds: float
    bytes_in: int
    bytes_out: int
    distance: float
    """Consensus distance: root mean square of theirs minus ours."""
    relative_distance: float
    outer_step: int
    initiated: bool
    fragment: int = 0
    late_by: int = 0
    """Inner steps between our boundary and the mix."""
    choice: str = ""
    """Why our share was written in the codec that it was; empty where all partners get the same bytes."""

    def _words(self) -> str:
        size = format_bytes(self.bytes_in + self.bytes_out)
        return (
            f"exchange with {short_peer(self.partner)}: {size} in {format_seconds(self.seconds)}, "
            f"{self.relative_distance:.2%} apart"
        )


class ExchangeFailed(Event, frozen=True, kw_only=True):
    """An exchange broke off; nothing was mixed."""

    partner: str
    outer_step: int
    reason: str

    def _words(self) -> str:
        return f"exchange with {short_peer(self.partner)} failed: {self.reason}"


class MixRefused(Event, frozen=True, kw_only=True):
    """A partner's share came whole and did not pass our check."""

    partner: str
    outer_step: int
    reason: str

    def _words(self) -> str:
        return f"refused what {short_peer(self.partner)} shared: {self.reason}"


class Skipped(Event, frozen=True, kw_only=True):
    """An outer step whose mix never came. Normal."""

    outer_step: int
    reason: str

    def _words(self) -> str:
        return f"outer step {self.outer_step} skipped its mix: {self.reason}"


class StateServed(Event, frozen=True, kw_only=True):
    """A newcomer was given our weights, momentum and progress."""

    peer: str
    size: int

    def _words(self) -> str:
        return f"gave newcomer {short_peer(self.peer)} our state, {format_bytes(self.size)}"


class StateComing(Event, frozen=True, kw_only=True):
    """We, a newcomer, are fetching the run's state; told now and then."""

    size: int
    received: int
    rate: float
    """Bytes a second, lately."""
    donors: int

    def _words(self) -> str:
        have = f"{format_bytes(self.received)} of {format_bytes(self.size)}"
        return f"fetching the state: {have} at {format_bytes(self.rate)}/s from {self.donors} donors"


class StateFetched(Event, frozen=True, kw_only=True):
    """We, a newcomer, have the state, from one donor or from several."""

    peer: str
    """Who gave most of it."""
    size: int
    seconds: float
    inner_step: int
    donors: tuple[str, ...] = ()

    def _words(self) -> str:
        size, seconds = format_bytes(self.size), format_seconds(self.seconds)
        donors = ", ".join(short_peer(peer) for peer in self.donors or (self.peer,))
        return f"got the state of step {self.inner_step} from {donors}: {size} in {seconds}"


class StateRefused(Event, frozen=True, kw_only=True):
    """What the donors gave came whole and cannot be trained on."""

    donors: tuple[str, ...]
    reason: str

    def _words(self) -> str:
        donors = ", ".join(short_peer(peer) for peer in self.donors)
        return f"refused the state that came from {donors}: {self.reason}"


class NoDonor(Event, frozen=True, kw_only=True):
    """Nobody has a state to give: the run is as new as we are, so training starts from its seed."""

    def _words(self) -> str:
        return "nobody has a state to give; training starts from the run's seed"


class VotesEqual(Event, frozen=True, kw_only=True):
    """`onebyte`: we and another peer hold the same votes."""

    partner: str
    votes: int
    voters: int

    def _words(self) -> str:
        return f"the same {self.votes:,} votes of {self.voters} voters as {short_peer(self.partner)}"


class LaneFailed(Event, frozen=True, kw_only=True):
    """A peer's second port could not be reached; what it gives us comes through libp2p for a while."""

    peer: str
    reason: str

    def _words(self) -> str:
        return f"no fast lane to {short_peer(self.peer)}, its shares come through libp2p: {self.reason}"


class SinkFailed(Event, frozen=True, kw_only=True):
    """What was to take the numbers of the run takes no more; training goes on."""

    sink: str
    reason: str

    def _words(self) -> str:
        return f"nothing more goes to {self.sink}: {self.reason}"


class Stopped(Event, frozen=True, kw_only=True):
    """The daemon ends; the last event of its life, unless it was killed."""

    reason: str
    inner_step: int

    def _words(self) -> str:
        why = {"SIGINT": "Ctrl-C"}.get(self.reason, self.reason)
        return f"stopped at step {self.inner_step}: {why}"


AnyEvent = (
    Started
    | MetricsServed
    | Joined
    | ManifestRefused
    | PeerSeen
    | PeerGone
    | Alone
    | NoLongerAlone
    | SplitNoticed
    | ReachChanged
    | TrainerStarted
    | BatchFitted
    | TrainerDied
    | Paused
    | Resumed
    | LimitsChanged
    | LimitsRefused
    | Unwatched
    | DiskShort
    | WillUse
    | Uses
    | Checkpointed
    | CheckpointFailed
    | ShareFailed
    | ShareReady
    | ExchangeDone
    | ExchangeFailed
    | MixRefused
    | Skipped
    | StateServed
    | StateComing
    | StateFetched
    | StateRefused
    | NoDonor
    | FellBehind
    | CaughtUp
    | StayedBehind
    | VotesEqual
    | LaneFailed
    | SinkFailed
    | Stopped
)
"""What a line of the log may hold."""
