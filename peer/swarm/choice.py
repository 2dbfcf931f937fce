"""The codec in which a share goes to one partner: the manifest's, or with `auto` what the link can carry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from protocol.manifest import Manifest

PLAIN = ("fp32", "bf16", "int8")
"""Codecs that need nothing of the receiver."""

ON_DEMAND = ("modulo", "auto")
"""What a manifest calls the codecs whose bytes are made for one receiver."""

FALLBACK = "int8"
"""For a receiver that has no bounds yet, where the manifest names no plain codec."""

LATE = 0.09
"""Nats, times the square of the delay in times between two outer steps, that late mixes cost `gossip`: 0.006
where they are a quarter late, 0.023 where half (benchmarks/records/convergence-delay.json)."""

BUDGET = 0.005
"""Nats that a codec may cost, however slow the link."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A codec and what it costs.

    Attributes:
        codec: its name.
        bits: of a value.
        cost: nats of loss over an exchange in fp32.
    """

    codec: str
    bits: int
    cost: float

    def __str__(self) -> str:
        """Return it as an operator reads it."""
        return f"modulo {self.bits} bits" if self.codec == "modulo" else self.codec


CANDIDATES = (
    Candidate("fp32", 32, 0.0),
    Candidate("bf16", 16, 0.0001),
    Candidate("int8", 8, 0.0003),
    Candidate("modulo", 5, 0.0007),
    Candidate("modulo", 4, 0.0015),
    Candidate("modulo", 3, 0.004),
)
"""The most exact first. `modulo` at 4 and 3 bits costs the mean of what it cost `gossip` and `noloco`, of one
seed each (benchmarks/records/convergence-codecs.json). What is finer costs less than seeds differ, and stands
in order."""


@dataclass(frozen=True, slots=True)
class Link:
    """The way to a partner, and the time that there is.

    Attributes:
        partner: its PeerID.
        goodput: bytes a second; None where nothing is known, 0 where a relay carries them.
        pace: seconds between two outer steps.
    """

    partner: str
    goodput: float | None
    pace: float


@dataclass(frozen=True, slots=True)
class Choice:
    """A codec for one exchange, and why.

    Attributes:
        codec: its name.
        bits: of a value.
        reason: one sentence for the operator.
    """

    codec: str
    bits: int
    reason: str


Size = Callable[[str, int], int]
"""The bytes of a share in a codec at so many bits."""


def decodable(manifest: Manifest) -> tuple[str, ...]:
    """Return the codecs that a peer of this run decodes: the manifest's, and what they may fall back on."""
    if manifest.codecs == ("auto",):
        return *PLAIN, "modulo"
    if "modulo" in manifest.codecs and not set(PLAIN) & set(manifest.codecs):
        return *manifest.codecs, FALLBACK
    return manifest.codecs


def fixed(manifest: Manifest, codec: str, *, near: bool) -> Choice:
    """Return what a share announced in `codec`, which is not `auto`, is written in.

    Args:
        manifest: says how many bits `modulo` takes.
        codec: what was announced.
        near: the receiver has sent bounds. Without, the first plain codec that the manifest allows is taken.
    """
    if codec != "modulo":
        return Choice(codec, 0, f"the run's codec is {codec}")
    if near:
        return Choice("modulo", manifest.modulo_bits, "the run's codec is modulo")
    plain = next((name for name in manifest.codecs if name in PLAIN), FALLBACK)
    return Choice(plain, 0, f"{plain}, as the partner does not know yet how far it is from us")


def choose(link: Link, size: Size, allowed: Sequence[str]) -> Choice:
    """Choose the codec that costs the least loss: by what it leaves out, and by how late it lets a mix land.

    Args:
        link: where the share goes.
        size: what a share takes in each codec.
        allowed: codecs that the receiver decodes; without `modulo` where it sent no bounds.

    Raises:
        ValueError: no codec is allowed.
    """
    usable = [each for each in CANDIDATES if each.codec in allowed and each.cost <= BUDGET]
    if not usable:
        raise ValueError(f"none of {', '.join(allowed)} may be chosen")
    goodput = link.goodput
    if goodput is None:
        first = next((each for each in usable if each.codec == FALLBACK), usable[-1])
        return Choice(first.codec, first.bits, f"{first} to {link.partner}: nothing is known of the link yet")
    if not goodput:
        least = usable[-1]
        return Choice(least.codec, least.bits, f"{least} to {link.partner}: a relay is in between")

    def seconds(each: Candidate) -> float:
        return size(each.codec, each.bits) / goodput

    def cost(each: Candidate) -> float:
        return each.cost + LATE * (seconds(each) / link.pace) ** 2

    picked = min(usable, key=cost)
    reason = (
        f"{picked} to {link.partner}: {_megabytes(size(picked.codec, picked.bits))} at "
        f"{_megabytes(goodput)}/s takes {seconds(picked):.1f} s of the {link.pace:.1f} s between outer steps"
    )
    if picked is not usable[0]:
        finer = usable[usable.index(picked) - 1]
        reason += f"; {finer} would take {seconds(finer):.1f} s, and the delay cost more than it saves"
    return Choice(picked.codec, picked.bits, reason)


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
