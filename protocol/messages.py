"""What one peer asks another, and the answers. A stream carries calls and answers in turn, each one frame.

The only bytes outside these frames are the body of a `Piece`, which announces their number and hash.
"""

from typing import Annotated

from msgspec import Meta

from protocol.bulk_calls import AskLanes, LanesAre
from protocol.codec import Message
from protocol.group_calls import GroupAnswer, GroupCall
from protocol.ledger_calls import LedgerAnswer, LedgerCall
from protocol.limits import MAX_CHUNK, MAX_NAMED, MAX_OBJECT, MAX_REASON, MAX_RECORDS, MAX_STANDING
from protocol.manifest import PROTOCOL_VERSION, SignedManifest
from protocol.measure_calls import MeasureAnswer, MeasureCall
from protocol.records import SignedRecord
from protocol.sketch import Sketch
from protocol.state_index import SignedIndex

STREAM_PROTOCOL = f"/murmuration/{PROTOCOL_VERSION}"
"""libp2p's name for our streams. The run is named in each call, so that a stranger is told what differs."""

Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
ExchangeId = Annotated[bytes, Meta(min_length=16, max_length=16)]
Reason = Annotated[str, Meta(max_length=MAX_REASON)]
CodecName = Annotated[str, Meta(min_length=1, max_length=16)]
FragmentIndex = Annotated[int, Meta(ge=0, le=255)]
Step = Annotated[int, Meta(ge=0, le=2**62)]
Seconds = Annotated[float, Meta(ge=0.0, le=86400.0)]
Standing = Annotated[int, Meta(ge=0, le=MAX_STANDING)]
"""What a share counts for, beside its tokens: less where its peer has just come."""


class ObjectRef(Message, frozen=True):
    """A blob that can be pulled, named by its hash."""

    sha256: Digest
    size: Annotated[int, Meta(ge=1, le=MAX_OBJECT)]


# ---- calls


class AskManifest(Message, frozen=True, tag="ask_manifest"):
    """Show me your manifest; here is mine, if I have one. The one call that needs no common run."""

    mine: SignedManifest | None = None


class AskPeers(Message, frozen=True, tag="ask_peers"):
    """Tell me of some peers; here is my own record. Also the sign of life."""

    mine: SignedRecord
    sketch: Sketch | None = None
    """What I know of the swarm; None where nothing is to be compared."""


class AskState(Message, frozen=True, tag="ask_state"):
    """A newcomer asks for slow weights, momentum and progress."""


class Offer(Message, frozen=True, tag="offer"):
    """Let us line up: my share of a fragment against the one that you shared last."""

    exchange: ExchangeId
    fragment: FragmentIndex
    outer_step: Step
    tokens: Step
    """Tokens trained for my share."""
    standing: Standing
    share: ObjectRef | None
    """None: ask for it with `AskBody`, as I encode it for you."""
    codec: CodecName
    bounds: ObjectRef | None
    """How far I expect you to be from me, for a codec that encodes for me."""
    decodes: Annotated[tuple[CodecName, ...], Meta(max_length=16)]
    """Codecs that I can decode."""


class AskBody(Message, frozen=True, tag="ask_body"):
    """Encode your share for me. The answer comes once it is done."""

    exchange: ExchangeId


class AskAgain(Message, frozen=True, tag="ask_again"):
    """These blocks of your share did not decode: send them with more bits."""

    exchange: ExchangeId
    failed: ObjectRef


class Pull(Message, frozen=True, tag="pull"):
    """Send me a range of an object."""

    sha256: Digest
    offset: Annotated[int, Meta(ge=0, le=MAX_OBJECT)]
    length: Annotated[int, Meta(ge=1, le=MAX_CHUNK)]


class Got(Message, frozen=True, tag="got"):
    """I have all that I asked you for of this object. Told, never answered: it lets you measure the link."""

    sha256: Digest


class Confirm(Message, frozen=True, tag="confirm"):
    """I hold your share whole. Do you hold mine? The answer comes once you know."""

    exchange: ExchangeId


class Settle(Message, frozen=True, tag="settle"):
    """Both of us hold everything: mix, as I do."""

    exchange: ExchangeId


class Abandon(Message, frozen=True, tag="abandon"):
    """I give this exchange up: do not wait for me."""

    exchange: ExchangeId


class Goodbye(Message, frozen=True, tag="goodbye"):
    """I leave; my record says so."""

    record: SignedRecord


Body = (
    AskManifest
    | AskPeers
    | AskState
    | Offer
    | AskBody
    | AskAgain
    | Pull
    | Got
    | AskLanes
    | Confirm
    | Settle
    | Abandon
    | Goodbye
    | MeasureCall
    | LedgerCall
    | GroupCall
)


class Call(Message, frozen=True):
    """The envelope of every call."""

    run_id: Annotated[bytes, Meta(max_length=32)]
    """The caller's run; empty while it has none."""
    body: Body


# ---- answers


class ManifestIs(Message, frozen=True, tag="manifest"):
    """The answer to `AskManifest`."""

    manifest: SignedManifest


class PeersAre(Message, frozen=True, tag="peers"):
    """The answer to `AskPeers`: the answerer's own record first, then a random draw from its view."""

    records: Annotated[tuple[SignedRecord, ...], Meta(max_length=MAX_RECORDS)]
    sketch: Sketch | None = None


class StateIs(Message, frozen=True, tag="state"):
    """The answer to `AskState`: pull chunks of this state, under the name that its index has."""

    index: SignedIndex


class FileIs(Message, frozen=True, tag="file"):
    """The answer to `AskState` in a `onebyte` run: pull the file of first weights."""

    file: ObjectRef


class Full(Message, frozen=True, tag="full"):
    """The answer to `AskState` where every place is taken: ask again in so many seconds, or ask these."""

    seconds: Seconds
    others: Annotated[tuple[SignedRecord, ...], Meta(max_length=MAX_NAMED)]


class Accepted(Message, frozen=True, tag="accepted"):
    """The answer to `Offer`: pull mine while I pull yours. The fields are those of `Offer`."""

    outer_step: Step
    tokens: Step
    standing: Standing
    share: ObjectRef | None
    codec: CodecName
    bounds: ObjectRef | None


class BodyIs(Message, frozen=True, tag="body"):
    """The answer to `AskBody` and `AskAgain`: pull this."""

    share: ObjectRef
    codec: CodecName
    """In which it is written: the sender chooses, by what the receiver decodes and what the link carries."""


class Busy(Message, frozen=True, tag="busy"):
    """Not now; ask again in so many seconds."""

    seconds: Seconds
    crossed: bool = False
    """Our offers met on the way and mine stands (the smaller PeerID's does): expect it."""


class Piece(Message, frozen=True, tag="piece"):
    """The answer to `Pull`: so many bytes follow this frame, with this hash."""

    length: Annotated[int, Meta(ge=1, le=MAX_CHUNK)]
    sha256: Digest


class Confirmed(Message, frozen=True, tag="confirmed"):
    """The answer to `Confirm`: whether both sides hold everything. Then `Settle` follows, and both mix."""

    both: bool


class Noted(Message, frozen=True, tag="noted"):
    """The answer where there is nothing to say."""


class Refused(Message, frozen=True, tag="refused"):
    """No, and why."""

    reason: Reason
    other_run: bool = False
    """The caller's run is not ours: ask for the manifest to see what differs."""


Answer = (
    ManifestIs
    | PeersAre
    | StateIs
    | FileIs
    | Full
    | Accepted
    | BodyIs
    | Busy
    | Piece
    | LanesAre
    | Confirmed
    | Noted
    | Refused
    | MeasureAnswer
    | LedgerAnswer
    | GroupAnswer
)
