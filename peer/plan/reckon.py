"""A plan: what a swarm with given choices takes and brings."""

from dataclasses import dataclass

import msgspec

from peer.plan import exchange, laws
from peer.plan.devices import MFU_RANGE
from peer.plan.question import Choice, Question
from peer.plan.shape import memory
from peer.swarm.choice import LATE
from protocol.presets import PRESETS

DAY = 86400.0
MONTH = 30 * DAY

OF_PRESET = {
    # nats over DiLoCo, three seeds, 8 replicas (benchmarks/records/convergence-rules.json, -codecs.json)
    "gossip": 0.004,
    "streaming-gossip": 0.0,
    "noloco": 0.054,
    "diloco": 0.0,
    "streaming-diloco": 0.0,
}
PRESET_UNCERTAINTY = 0.02
"""Measured at 0.84 M parameters alone."""


class Part(msgspec.Struct, frozen=True):
    """One part of the predicted loss."""

    name: str
    nats: float
    uncertainty: float
    """Half the width of the interval."""
    note: str = ""


class Loss(msgspec.Struct, frozen=True):
    """The predicted loss on held-out text, nats a token."""

    nats: float
    uncertainty: float
    parts: tuple[Part, ...]


class Traffic(msgspec.Struct, frozen=True):
    """What passes over one peer's line, each way."""

    share_bytes: float
    exchange_bytes: float
    exchanges: float
    """Of an outer step."""
    outer_step_bytes: float
    exchange_seconds: float | None
    """None where the link is not known."""
    of_outer_step: float | None
    """The part of an outer step that one exchange takes: how late its mix lands."""
    line_busy: float | None
    """The part of the time in which the line carries exchanges."""
    month_bytes: float | None
    """None where the pace is not known."""


class Pace(msgspec.Struct, frozen=True):
    """How fast it goes."""

    tokens_per_second: float
    """Of one peer, with what it waits for exchanges."""
    lowest: float
    """The same if the device reaches less of its peak than is assumed."""
    highest: float
    """If it reaches more."""
    inner_step_seconds: float
    outer_step_seconds: float
    swarm_tokens_a_day: float
    days: float
    """Until all tokens are trained on."""
    kwh_a_day: float | None
    """Of one peer."""
    kwh: float | None
    """Of all peers, until the end."""


class Plan(msgspec.Struct, frozen=True):
    """What a swarm takes and brings."""

    parameters: int
    peers: int
    tokens: float
    tokens_a_step: int
    """Of all peers together."""
    memory_bytes: float
    """Of a trainer, activations aside."""
    loss: Loss | None
    """None where the laws say nothing."""
    traffic: Traffic
    pace: Pace | None
    """None where the device is not known."""


def reckon(question: Question, choice: Choice) -> Plan:
    """Return what the swarm of the question takes and brings with these choices."""
    sizes = _sizes(question, choice)
    pace = _pace(question, choice, sizes)
    traffic = _traffic(sizes, pace)
    return Plan(
        parameters=question.parameters,
        peers=question.peers,
        tokens=question.tokens,
        tokens_a_step=question.peers * choice.batch * question.model.context,
        memory_bytes=memory(question.parameters),
        loss=_loss(question, choice, traffic.of_outer_step),
        traffic=traffic,
        pace=pace,
    )


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Bytes of a share and of an exchange, exchanges of an outer step, and seconds of one."""

    share: float
    exchange: float
    count: float
    seconds: float | None


def _sizes(question: Question, choice: Choice) -> _Sizes:
    share = exchange.share_bytes(question.parameters, choice.codec, choice.bits)
    size = exchange.exchange_bytes(question.preset, question.peers, share)
    count = exchange.exchanges(question.preset, question.peers)
    seconds = None if question.link is None or not count else exchange.seconds(size, question.link)
    return _Sizes(share, size, count, seconds)


def _pace(question: Question, choice: Choice, sizes: _Sizes) -> Pace | None:
    free, power = question.tokens_per_second, question.power
    if free is None or power is None:
        return None
    inner = choice.batch * question.model.context / free
    outer = inner * choice.every
    if not PRESETS[question.preset].overlap:
        outer += sizes.count * (sizes.seconds or 0.0)
    rate = free * inner * choice.every / outer
    days = question.tokens / (question.peers * rate * DAY)
    kilowatts = None if power.watts is None else power.watts / 1000
    low, high = (part / power.mfu if power.assumed else 1.0 for part in MFU_RANGE)
    return Pace(
        tokens_per_second=rate,
        lowest=rate * low,
        highest=rate * high,
        inner_step_seconds=inner,
        outer_step_seconds=outer,
        swarm_tokens_a_day=question.peers * rate * DAY,
        days=days,
        kwh_a_day=None if kilowatts is None else 24 * kilowatts,
        kwh=None if kilowatts is None else 24 * kilowatts * days * question.peers,
    )


def _traffic(sizes: _Sizes, pace: Pace | None) -> Traffic:
    seconds, outer = sizes.seconds, None if pace is None else pace.outer_step_seconds
    share = None if seconds is None or outer is None else seconds / outer
    total = sizes.count * sizes.exchange
    return Traffic(
        share_bytes=sizes.share,
        exchange_bytes=sizes.exchange,
        exchanges=sizes.count,
        outer_step_bytes=total,
        exchange_seconds=seconds,
        of_outer_step=share,
        line_busy=None if share is None else sizes.count * share,
        month_bytes=None if outer is None else total * MONTH / outer,
    )


def _loss(question: Question, choice: Choice, late: float | None) -> Loss | None:
    terms = [
        laws.loss(question.parameters, question.peers),
        laws.of_tokens(question.parameters, question.tokens),
    ]
    if question.preset not in OF_PRESET or None in terms:
        return None
    parts = [Part(term.name, term.nats, term.uncertainty, term.note) for term in terms if term is not None]
    if question.peers > 1:
        parts += of_exchanging(question, choice, late)
    return Loss(sum(part.nats for part in parts), sum(part.uncertainty for part in parts), tuple(parts))


def of_exchanging(question: Question, choice: Choice, late: float | None) -> list[Part]:
    """Return what the outer rule costs in nats, where mixes land so late, in parts of an outer step."""
    every = laws.of_every(choice.every)
    small = "measured at 0.84 M parameters alone"
    coding = exchange.cost(question.preset, choice.codec, choice.bits)
    parts = [
        Part(every.name, every.nats, every.uncertainty, every.note),
        Part(question.preset, OF_PRESET[question.preset], PRESET_UNCERTAINTY, small),
        Part(_written(choice), coding, coding, small),
    ]
    if late is not None and PRESETS[question.preset].overlap:
        nats = LATE * min(late, 1.0) ** 2
        parts.append(Part(f"mixes {min(late, 1.0):.0%} of an outer step late", nats, nats, small))
    return parts


def _written(choice: Choice) -> str:
    return f"modulo at {choice.bits} bits" if choice.codec == "modulo" else choice.codec
