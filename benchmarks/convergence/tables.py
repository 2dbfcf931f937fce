"""The comparisons, as data: each table's arms, and what they have in common."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.convergence.arm import Arm, Own
from benchmarks.convergence.setting import Setting
from peer.outer.rule import PRESETS, Rule, derive

NOLOCO = derive("noloco", mixes=1)
DILOCO = derive("diloco", alpha=0.8)
"""The best of alpha 0.5, 0.8, 0.9 and beta 0.4, 0.7, 1.0 in this setting; as published: 0.9 and 0.7."""
GOSSIP = Rule("gossip", "nesterov", ("theta",), alpha=0.8, beta=0.7, overlap=True, mixes=8)
GENTLE_GOSSIP = replace(GOSSIP, name="gentle gossip", alpha=0.5, beta=1.0)
TWO_TENSORS = replace(GOSSIP, name="gossip of phi and momentum", shares=("phi", "momentum"))
STREAMING_GOSSIP = replace(GOSSIP, name="streaming-gossip", fragments=2)
STREAMING_DILOCO = derive("streaming-diloco", alpha=0.8, beta=0.7, fragments=2, keep=None)

DEFAULT = Setting()
MODULO = ("modulo4", "modulo3", "modulo2", "modulo1")
OWN: tuple[Own, Own] = ("quantised", "exact")


@dataclass(frozen=True)
class Case:
    """One arm of one seed, and of how many replicas the loss is measured on their own."""

    name: str
    arm: Arm
    setting: Setting
    singles: int


@dataclass(frozen=True)
class Table:
    """Arms that are compared, the first as the yardstick.

    Attributes:
        arms: with names that are unique in the table.
        setting: of all.
        seeds: the most that are of use.
        singles: replicas whose own loss is measured.
        against: the arms' value that the picture's curves run over; None for inner steps.
    """

    arms: Sequence[Arm]
    setting: Setting = DEFAULT
    seeds: int = 3
    singles: int = 2
    against: str | None = None

    def cases(self, seeds: Iterable[int]) -> list[Case]:
        """Return every arm with the first seed, then with the next."""
        return list(self._cases(seeds))

    def _cases(self, seeds: Iterable[int]) -> Iterator[Case]:
        for seed in list(seeds)[: self.seeds]:
            for arm in self.arms:
                setting = replace(self.setting, seed=seed)
                yield Case(f"{arm.name.replace(' ', '_')}.{seed}", arm, setting, self.singles)


Maker = Callable[..., Arm]


def _group(name: str, rule: Rule, **more: object) -> Arm:
    return replace(Arm(name, rule, partners="everybody"), **more)  # type: ignore[arg-type]


def _pairs(name: str, rule: Rule, **more: object) -> Arm:
    """Make an arm of pairs as daemons form them: each seeks two, and answers others."""
    return replace(Arm(name, rule, partners="view", rounds=2), **more)  # type: ignore[arg-type]


RULES = Table(
    [
        _group("diloco", DILOCO),
        _pairs("gossip", GOSSIP),
        Arm("noloco", NOLOCO),
        Arm("data-parallel", together=True),
    ]
)
"""The rules that matter, each with the constants that the search gave it; `noloco` as published."""

SEARCH = Table(
    [
        _group("diloco, published", PRESETS["diloco"]),
        _pairs("gossip, 4 mixes at most", replace(GOSSIP, mixes=4)),
        *(Arm(f"gossip, {rounds} mixes", GOSSIP, rounds=rounds) for rounds in (1, 2, 3)),
        Arm("gossip, 3 mixes, rotating", GOSSIP, rounds=3, partners="rotating"),
        Arm("gossip, groups of four", GOSSIP, partners="four"),
        Arm("gossip, 1 mix, half of H", GOSSIP, every=12),
        Arm("gossip of phi and momentum, 2 mixes", TWO_TENSORS, rounds=2),
        Arm("solo"),
    ],
    seeds=1,
)

MUON = Table(
    [_group("diloco", DILOCO), _pairs("gossip", GOSSIP), Arm("data-parallel", together=True)],
    setting=replace(DEFAULT, kind="muon"),
    seeds=1,
)

SIZES = Table(
    [
        arm
        for m in (2, 4)
        for arm in (
            _group(f"diloco, M = {m}", DILOCO, replicas=m),
            _pairs(f"gossip, M = {m}", GOSSIP, replicas=m),
            Arm(f"data-parallel, M = {m}", together=True, replicas=m),
        )
    ],
    seeds=1,
)

CODECS = Table(
    [
        _pairs("gossip, fp32", GOSSIP),
        *(
            _pairs(f"gossip of phi and momentum, {codec}", TWO_TENSORS, codec=codec)
            for codec in ("fp32", "modulo4", "modulo2")
        ),
        *(Arm(f"noloco, {codec}", NOLOCO, codec=codec) for codec in ("fp32", *MODULO)),
        *(
            _pairs(f"gossip, {codec}, own {own}", GOSSIP, codec=codec, own=own)
            for codec in MODULO
            for own in OWN
        ),
        *(_pairs(f"gossip, {codec}", GOSSIP, codec=codec) for codec in ("bf16", "int8")),
        *(
            _pairs(f"streaming-gossip, {codec}", STREAMING_GOSSIP, codec=codec)
            for codec in ("fp32", "modulo4")
        ),
        *(_group(f"diloco, {codec}", DILOCO, codec=codec) for codec in ("fp32", "ecsq", "e3m0", "topk")),
    ],
    seeds=1,
)

DELAYS = (0, 12, 5, 25, 2, 1)
OVERLAPPED: Sequence[tuple[Maker, str, Rule]] = (
    (Arm, "noloco", NOLOCO),
    (_pairs, "gossip", GOSSIP),
    (_pairs, "gentle gossip", GENTLE_GOSSIP),
    (_pairs, "gossip of phi and momentum", TWO_TENSORS),
    (_pairs, "streaming-gossip", STREAMING_GOSSIP),
    (_group, "streaming-diloco, added", STREAMING_DILOCO),
    (_group, "streaming-diloco, blended", replace(STREAMING_DILOCO, keep=0.5)),
)

DELAY = Table(
    [
        make(f"{name}, {delay} steps", rule, delay=delay, replicas=4)
        for delay in DELAYS
        for make, name, rule in OVERLAPPED
    ],
    seeds=1,
)

UNEQUAL = (1.0, 1.0, 1.0, 0.75, 0.75, 0.5, 0.5, 0.25)

FAULTS = Table(
    [
        *(_pairs(f"gossip, {round(100 * drop)}% dropped", GOSSIP, drop=drop) for drop in (0, 0.1, 0.3, 0.5)),
        *(
            _pairs(f"gossip of phi and momentum, {round(100 * drop)}% dropped", TWO_TENSORS, drop=drop)
            for drop in (0, 0.5)
        ),
        *(Arm(f"noloco, {round(100 * drop)}% dropped", NOLOCO, drop=drop) for drop in (0, 0.5)),
        *(_group(f"diloco, {round(100 * drop)}% dropped", DILOCO, drop=drop) for drop in (0, 0.5)),
        _pairs("gossip, unequal speeds", GOSSIP, speeds=UNEQUAL),
        *(
            _group(
                f"diloco, unequal steps, {name}",
                rule,
                speeds=UNEQUAL,
                boundaries="clock",
                normalise=normalise,
            )
            for name, rule, normalise in (
                ("equal weights", DILOCO, False),
                ("weights by tokens", replace(DILOCO, weights="tokens"), False),
                ("normalised", DILOCO, True),
                ("normalised, weights by tokens", replace(DILOCO, weights="tokens"), True),
            )
        ),
        *(
            maker(f"{rule.name}, {shards} texts", rule, shards=shards)
            for maker, rule in ((_pairs, GOSSIP), (_group, DILOCO))
            for shards in ("mixed", "by source")
        ),
    ],
    seeds=1,
)

TABLES: Mapping[str, Table] = {
    "rules": RULES,
    "search": SEARCH,
    "muon": MUON,
    "sizes": SIZES,
    "codecs": CODECS,
    "delay": DELAY,
    "faults": FAULTS,
}
