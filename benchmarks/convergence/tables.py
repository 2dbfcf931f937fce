"""The comparisons, as data: each table's arms, and what they have in common."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.convergence.arm import Arm, Own
from benchmarks.convergence.setting import Setting
from peer.outer.rule import PRESETS, Rule, derive

NOLOCO = derive("noloco", mixes=1)
DILOCO = derive("diloco", alpha=0.8)
"""The best of alpha 0.5, 0.8, 0.9 and beta 0.4, 0.7, 1.0 in this setting; as published: 0.9 and 0.7."""
GOSSIP = PRESETS["gossip"]
WARM = replace(GOSSIP, warming=0)
"""`gossip` as it is late in a run: its momentum has grown to alpha."""
ADDED = replace(WARM, keep=None, by_delay=False)
"""The same where mixes land at once: to blend by delay is then to add."""
TWO_TENSORS = replace(ADDED, name="gossip of phi and momentum", shares=("phi", "momentum"))
STREAMING_GOSSIP = derive("streaming-gossip", fragments=2, warming=0)
STREAMING_DILOCO = derive("streaming-diloco", alpha=0.8, beta=0.7, fragments=2)

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


def _keeping(rule: Rule, keep: float | None) -> Rule:
    return replace(rule, keep=keep, by_delay=False)


def _one_each(name: str, rule: Rule, **more: object) -> Arm:
    return replace(Arm(name, replace(rule, mixes=4), partners="view"), **more)  # type: ignore[arg-type]


RULES = Table(
    [
        _group("diloco", DILOCO),
        _pairs("gossip", GOSSIP),
        _pairs("gossip, at once full momentum", ADDED),
        Arm("noloco", NOLOCO),
        Arm("data-parallel", together=True),
    ]
)
"""The rules that matter, each with the constants that the search gave it; `noloco` as published."""

SEARCH = Table(
    [
        _pairs("gossip", ADDED),
        _group("diloco, published", PRESETS["diloco"]),
        Arm("solo"),
        *(Arm(f"gossip, random, {rounds} mixes", ADDED, rounds=rounds) for rounds in (1, 3)),
        Arm("gossip, rotating, 3 mixes", ADDED, rounds=3, partners="rotating"),
        Arm("gossip, groups of four", ADDED, partners="four"),
        Arm("gossip, random, 1 mix, half of H", ADDED, every=12),
        _pairs("gossip, alpha 0.9", replace(ADDED, alpha=0.9)),
        _pairs("gossip, beta 1.0", replace(ADDED, beta=1.0)),
    ],
    seeds=1,
)

MUON = Table(
    [_group("diloco", DILOCO), _pairs("gossip", ADDED), Arm("data-parallel", together=True)],
    setting=replace(DEFAULT, kind="muon"),
    seeds=1,
)

SIZES = Table(
    [
        arm
        for m in (2, 4)
        for arm in (
            _group(f"diloco, M = {m}", DILOCO, replicas=m),
            _pairs(f"gossip, M = {m}", ADDED, replicas=m),
            Arm(f"data-parallel, M = {m}", together=True, replicas=m),
        )
    ],
    seeds=1,
)

CODECS = Table(
    [
        _pairs("gossip, fp32", ADDED),
        *(
            _pairs(f"gossip, {codec}, own {own}", ADDED, codec=codec, own=own)
            for codec in MODULO
            for own in OWN
        ),
        *(
            _pairs(f"gossip of phi and momentum, {codec}", TWO_TENSORS, codec=codec)
            for codec in ("fp32", "modulo4")
        ),
        *(Arm(f"noloco, {codec}", NOLOCO, codec=codec) for codec in ("fp32", *MODULO)),
        *(
            _pairs(f"streaming-gossip, {codec}", STREAMING_GOSSIP, codec=codec)
            for codec in ("fp32", "modulo4")
        ),
        *(_group(f"diloco, {codec}", DILOCO, codec=codec) for codec in ("fp32", "ecsq", "e3m0", "topk")),
        *(_pairs(f"gossip, {codec}", ADDED, codec=codec) for codec in ("bf16", "int8")),
    ],
    seeds=1,
)

DELAYS = (0, 5, 25, 12, 50, 2, 1)
OVERLAPPED: Sequence[tuple[Maker, str, Rule]] = (
    (Arm, "noloco", NOLOCO),
    (_pairs, "gossip", WARM),
    (_pairs, "streaming-gossip", STREAMING_GOSSIP),
    (_group, "streaming-diloco", STREAMING_DILOCO),
)

DELAY = Table(
    [
        make(f"{name}, {delay} steps", rule, delay=delay, replicas=4, every=50)
        for delay in DELAYS
        for make, name, rule in OVERLAPPED
    ],
    seeds=1,
    against="delay",
)
"""One curve a preset that overlaps, over the inner steps of H = 50 after which a mix lands."""

KEEPS = (None, 0.5, 0.25, 0.1)

LANDING = Table(
    [
        make(
            f"{name}, {keep or 'added'}, {delay} steps",
            _keeping(rule, keep),
            delay=delay,
            replicas=4,
            every=50,
        )
        for make, name, rule, keeps in (
            (_pairs, "gossip", WARM, KEEPS),
            (_group, "streaming-diloco", STREAMING_DILOCO, (None, 0.5, 0.25)),
            (Arm, "noloco", NOLOCO, (None, 0.25)),
        )
        for keep in keeps
        for delay in (5, 12, 25)
    ],
    seeds=1,
    against="delay",
)
"""What of the fast weights stays when a mix lands, of whatever delay; beside table `delay`."""

RANDOM_START = replace(DEFAULT, layers=2, context=128, rate=4e-3, warm=0, warmup=20, steps=200, batch=8)

BEGINNING = Table(
    [
        make(f"{name}, {delay} steps", rule, delay=delay, replicas=4, every=20)
        for delay in (10, 0, 5)
        for make, name, rule in (
            (_pairs, "gossip", GOSSIP),
            (_one_each, "noloco", NOLOCO),
            (_pairs, "gossip, at once full momentum", WARM),
            (_pairs, "gossip, at once full momentum, added", ADDED),
            (_pairs, "gossip, alpha 0.5", replace(WARM, alpha=0.5)),
        )
    ],
    setting=RANDOM_START,
    seeds=1,
    against="delay",
)
"""The first 200 inner steps from random weights, as the README's `peer swarm` takes them, H = 20."""

UNEQUAL = (1.0, 1.0, 1.0, 0.75, 0.75, 0.5, 0.5, 0.25)

FAULTS = Table(
    [
        *(_pairs(f"gossip, {round(100 * drop)}% dropped", ADDED, drop=drop) for drop in (0, 0.1, 0.3, 0.5)),
        *(Arm(f"noloco, {round(100 * drop)}% dropped", NOLOCO, drop=drop) for drop in (0, 0.5)),
        *(_group(f"diloco, {round(100 * drop)}% dropped", DILOCO, drop=drop) for drop in (0, 0.5)),
        _pairs("gossip, unequal speeds", ADDED, speeds=UNEQUAL),
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
            for maker, rule in ((_pairs, ADDED), (_group, DILOCO))
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
    "landing": LANDING,
    "beginning": BEGINNING,
    "faults": FAULTS,
}
