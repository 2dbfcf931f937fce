"""What passes between peers: bytes and seconds of an exchange, and what codecs cost in loss."""

from dataclasses import dataclass

from peer.codec.formats import FORMATS, bounds_size, failed_size, modulo_size
from peer.plan.question import Link
from peer.swarm.choice import CANDIDATES
from protocol.presets import PRESETS

GOODPUT = 0.95
"""The part of a line's rate that is left for us under TCP, TLS and framing. With one round trip 40 MB over
1 Gbit/s and 100 ms make 0.44 s; both ways at once it took 0.45 s (benchmarks/records/exchange.json)."""

ROUND_TRIPS = 3
"""Of an exchange: offer, request and the first bytes back."""

SLOWER = 1.6
"""How many times longer an exchange may take than reckoned: 3.0 s where 1.9 are reckoned, between two peers
whose trainers and codecs share two cores (benchmarks/records/waiting.json)."""

GROUP_CODECS = {
    # codec of a group: bits a value as measured (benchmarks/records/codecs.json), nats that it costs
    # (benchmarks/records/convergence-codecs.json: one seed, 0.84 M parameters)
    "bf16": (16.0, 0.0001),
    "int8": (8.0625, 0.0003),
    "ecsq": (3.103, 0.001),
    "topk": (0.156, 0.125),
}

ANSWERED = 0.6
"""Exchanges that a peer answers beside each that it seeks, where it seeks several: four peers of preset
`gossip` were each in 4.8 an outer step (`peer swarm`)."""


@dataclass(frozen=True, slots=True)
class Coding:
    """A codec at so many bits, and what it costs in nats over fp32."""

    codec: str
    bits: int
    cost: float


def codings(preset: str) -> list[Coding]:
    """Return the codecs that a plan may choose for a preset, the most exact first."""
    if PRESETS[preset].group == 2:
        return [Coding(each.codec, each.bits, each.cost) for each in CANDIDATES if each.codec != "fp32"]
    # topk's error needs many outer steps to come back; no plan should choose it on three figures.
    chosen = [name for name in GROUP_CODECS if name != "topk"]
    return [Coding(name, round(GROUP_CODECS[name][0]), GROUP_CODECS[name][1]) for name in chosen]


def cost(preset: str, codec: str, bits: int) -> float:
    """Return the nats that a codec costs over fp32; 0 where it was not measured."""
    if codec in GROUP_CODECS and PRESETS[preset].group > 2:
        return GROUP_CODECS[codec][1]
    found = [
        each.cost for each in CANDIDATES if each.codec == codec and (codec != "modulo" or each.bits == bits)
    ]
    return found[0] if found else 0.0


def share_bytes(parameters: int, codec: str, bits: int) -> float:
    """Return the bytes of one tensor of all parameters, with what goes with it."""
    if codec == "modulo":
        return modulo_size(parameters, bits) + bounds_size(parameters) + failed_size(parameters)
    if codec in ("ecsq", "topk"):
        return GROUP_CODECS[codec][0] / 8 * parameters
    return FORMATS[codec].encoded_size(parameters)


def exchanges(preset: str, peers: int) -> float:
    """Return in how many exchanges a peer takes part in an outer step."""
    rule = PRESETS[preset]
    if peers < 2 or rule.group == 1:
        return 0.0
    # A pair's exchange that one of them sought the other answered.
    return 1.0 if rule.group > 2 or rule.seeks == 1 else min(rule.seeks, peers - 1) * (1 + ANSWERED)


def exchange_bytes(preset: str, peers: int, share: float) -> float:
    """Return the bytes of one exchange, each way, of shares of so many bytes.

    A pair exchanges whole shares. In a group each member averages a part: all parts but its own go out, and
    the averages of the others come in, and likewise the other way: 2(M - 1)/M shares.
    """
    return share if PRESETS[preset].group == 2 else 2 * (peers - 1) / peers * share


def seconds(size: float, link: Link) -> float:
    """Return the seconds of an exchange of so many bytes each way, between two peers with such lines."""
    return size / (GOODPUT * min(link.up, link.down)) + ROUND_TRIPS * link.round_trip
