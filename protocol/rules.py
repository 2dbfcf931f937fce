"""The constraints between a manifest's fields, which the type of a single field cannot show.

The founder's `run.toml` and a stranger's manifest are held to the same list.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec import UNSET

from protocol.errors import ProtocolError
from protocol.fragments import layout
from protocol.layout import MOST_PARAMETERS
from protocol.limits import MAX_VOTES
from protocol.manifest import (
    PROTOCOL_VERSION,
    Manifest,
    Model,
    Outer,
    Part,
    SignedManifest,
    Tokenizer,
    open_manifest,
)
from protocol.presets import PRESETS
from protocol.stability import allowed_beta, why_unstable
from protocol.streamed import HUB_NAME, MOST_SHUFFLED

PAIR = 2
PAIR_CODECS = ("modulo", "auto")
GROUP_CODECS = ("ecsq", "e3m0", "topk")
_DELTA = "it codes the change since the last outer step, which means something to peers that began it alike"
WHY_FOREIGN = {
    "modulo": "it is made for one receiver, who is near the sender",
    "auto": "it chooses for the link between two peers",
    "ecsq": _DELTA,
    "e3m0": _DELTA,
    "topk": _DELTA,
}
"""Why a codec is of no use where it is refused: to a group of more than two, or to a pair."""

BYTE_VOCABULARY = 256
STREAMED = "hf"
UNHASHED = ("shakespeare", STREAMED)
"""Data sources that need no hash: what comes with the code, and what names its own."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A value that its type allows and the rest of the manifest forbids.

    Attributes:
        path: the names that lead to the field, such as `("outer", "beta")`.
        value: what the field holds.
        allowed: what it may hold, and why, as the end of a sentence that begins with "must be".
    """

    path: tuple[str, ...]
    value: object
    allowed: str

    def __str__(self) -> str:
        """Return one line, such as `model.width is 100, must be a multiple of heads, 3`."""
        return f"{'.'.join(self.path)} is {self.value}, must be {self.allowed}"


def admit(sealed: SignedManifest) -> Manifest:
    """Open a stranger's manifest and hold it to the rules.

    Raises:
        ProtocolError: its encoding or signature is wrong, or it breaks a rule; the message says which.
    """
    manifest = open_manifest(sealed)
    broken = violations(manifest)
    if broken:
        raise ProtocolError("; ".join(str(violation) for violation in broken))
    return manifest


def violations(manifest: Manifest) -> list[Violation]:
    """Return everything that is wrong with a whole manifest; nothing if it can be trained on."""
    return [
        *_protocol(manifest),
        *draft_violations(manifest),
        *_foreign(manifest),
        *_data(manifest),
        *_tokenizer(manifest.tokenizer),
    ]


def draft_violations(manifest: Manifest, *, foreign: bool = False) -> list[Violation]:
    """Return what is wrong with a manifest whose files have not been hashed yet, as `run.toml` gives it.

    Args:
        manifest: as far as it goes.
        foreign: its model is not the built-in one, and has not been looked at yet.
    """
    return [
        *_heads(manifest.model),
        *_vocabulary(manifest.tokenizer),
        *_warmup(manifest),
        *_stability(manifest),
        *_group(manifest.outer),
        *_seeks(manifest.outer),
        *_warming(manifest.outer),
        *_fragments(manifest, layers=None if foreign else layout(manifest).layers),
        *_codecs(manifest),
        *_votes(manifest),
    ]


def _protocol(manifest: Manifest) -> Iterator[Violation]:
    if manifest.protocol != PROTOCOL_VERSION:
        allowed = (
            f"{PROTOCOL_VERSION}, the version of this program: use the program that the run was made for"
        )
        yield Violation(("protocol",), manifest.protocol, allowed)


def _heads(model: Model) -> Iterator[Violation]:
    if model.width % model.heads:
        yield Violation(("model", "width"), model.width, f"a multiple of model.heads, which is {model.heads}")
    elif model.width // model.heads % 2:
        allowed = f"an even multiple of model.heads, which is {model.heads}: RoPE turns pairs of channels"
        yield Violation(("model", "width"), model.width, allowed)


def _vocabulary(tokenizer: Tokenizer) -> Iterator[Violation]:
    if tokenizer.kind == "bytes" and tokenizer.vocabulary != BYTE_VOCABULARY:
        allowed = f'{BYTE_VOCABULARY} where tokenizer.kind is "bytes"'
        yield Violation(("tokenizer", "vocabulary"), tokenizer.vocabulary, allowed)


def _warmup(manifest: Manifest) -> Iterator[Violation]:
    inner = manifest.inner
    if inner.warmup > inner.steps:
        allowed = f"at most inner.steps, which is {inner.steps}"
        yield Violation(("inner", "warmup"), inner.warmup, allowed)


def _stability(manifest: Manifest) -> Iterator[Violation]:
    outer, preset = manifest.outer, PRESETS[manifest.outer.preset]
    if preset.optimiser == "none":
        return
    # A group averages the momentum too, as soon as its members are apart.
    mixed_momentum = preset.group > PAIR
    low, high = allowed_beta(preset.optimiser, mixed_momentum, outer.alpha, mixes=1)
    if not low < outer.beta < high:
        allowed = (
            f"above {low:.3g} and below {high:.3g} where outer.preset is {outer.preset!r}, outer.alpha "
            f"{outer.alpha:g} and outer.mixes {outer.mixes}: beyond, "
            f"{why_unstable(mixed_momentum=mixed_momentum)}"
        )
        yield Violation(("outer", "beta"), outer.beta, allowed)


def _group(outer: Outer) -> Iterator[Violation]:
    named, usual = f"where outer.preset is {outer.preset!r}", PRESETS[outer.preset].group
    if usual <= PAIR and outer.group != usual:
        yield Violation(("outer", "group"), outer.group, f"{usual} {named}")
    elif usual > PAIR >= outer.group:
        yield Violation(("outer", "group"), outer.group, f"above {PAIR} {named}")


def _seeks(outer: Outer) -> Iterator[Violation]:
    path = ("outer", "seeks")
    if outer.seeks > outer.mixes:
        yield Violation(path, outer.seeks, f"at most outer.mixes, which is {outer.mixes}")
    elif outer.seeks > 1 and not outer.overlap:
        allowed = "1 where outer.overlap is false: the trainer waits for one mix of each outer step"
        yield Violation(path, outer.seeks, allowed)


def _warming(outer: Outer) -> Iterator[Violation]:
    if outer.group > PAIR and outer.warming:
        allowed = (
            f"0 where outer.group is {outer.group}: members who count their outer steps otherwise "
            "would end a step apart"
        )
        yield Violation(("outer", "warming"), outer.warming, allowed)


def _fragments(manifest: Manifest, layers: int | None) -> Iterator[Violation]:
    outer, path = manifest.outer, ("outer", "fragments")
    if layers is not None and outer.fragments > layers:
        allowed = f"at most the model's layers, which are {layers}: a fragment is of whole layers"
        yield Violation(path, outer.fragments, allowed)
    elif outer.fragments > outer.every:
        allowed = f"at most outer.every, which is {outer.every}: each fragment has an inner step of its own"
        yield Violation(path, outer.fragments, allowed)


def _foreign(manifest: Manifest) -> Iterator[Violation]:
    """Hold a model from elsewhere to what only its own size and hashes may say."""
    model, foreign = manifest.model, manifest.model.pretrained or manifest.task
    if not foreign:
        return
    if foreign.layout.parameters > MOST_PARAMETERS:
        path = ("task", "layout") if manifest.task else ("model", "pretrained")
        yield Violation(path, foreign.layout.parameters, f"of at most {MOST_PARAMETERS} parameters")
    if model.sha256 is not None:
        allowed = "absent: the first weights come with the model itself"
        yield Violation(("model", "sha256"), model.sha256.hex()[:12], allowed)
    if manifest.task and model.pretrained:
        yield Violation(("task",), manifest.task.name, "absent where the model is a pretrained one")
    if model.pretrained and model.pretrained.lora and not model.pretrained.lora.targets:
        yield Violation(("model", "pretrained"), "a LoRA", "one that names its targets")


def _codecs(manifest: Manifest) -> Iterator[Violation]:
    codecs, path = manifest.codecs, ("codecs",)
    shown = ", ".join(codecs)
    if len(set(codecs)) < len(codecs):
        yield Violation(path, shown, "a list that names no codec twice")
    if "auto" in codecs and len(codecs) > 1:
        yield Violation(path, shown, 'either "auto" alone or a list of codecs without it')
    foreign = PAIR_CODECS if manifest.outer.group > PAIR else GROUP_CODECS
    if named := [codec for codec in codecs if codec in foreign]:
        where = f"where outer.group is {manifest.outer.group}"
        yield Violation(path, shown, f"without {', '.join(named)} {where}: {WHY_FOREIGN[named[0]]}")


def _votes(manifest: Manifest) -> Iterator[Violation]:
    samples, most = manifest.onebyte.samples, MAX_VOTES // manifest.onebyte.samples
    if manifest.outer.preset == "onebyte" and manifest.inner.steps > most:
        allowed = f"at most {most} where onebyte.samples is {samples}: each voter has {MAX_VOTES} votes"
        yield Violation(("inner", "steps"), manifest.inner.steps, allowed)


def _tokenizer(tokenizer: Tokenizer) -> Iterator[Violation]:
    # `model.sha256` may be there or not: without it the first weights come from the seed.
    kind, sha256 = tokenizer.kind, tokenizer.sha256
    return _hash(("tokenizer",), "kind", kind, sha256, needed=kind == "file")


def _data(manifest: Manifest) -> Iterator[Violation]:
    data, path = manifest.data, ("data", "mixture")
    is_mixture = data.source == "mixture"
    if is_mixture and data.mixture is UNSET:
        yield Violation(path, "absent", "there where data.source is 'mixture'")
    elif not is_mixture and data.mixture is not UNSET:
        yield Violation(path, "there", f"absent where data.source is {data.source!r}")
    elif is_mixture and (data.sha256 is not None or data.dataset):
        yield Violation(("data",), "a hash", "without one of its own where data.source is 'mixture'")
    for index, part in enumerate(data.parts):
        where = ("data", f"mixture[{index}]") if is_mixture else ("data",)
        yield from _hash(where, "source", part.source, part.sha256, needed=part.source not in UNHASHED)
        yield from _dataset((*where, "dataset"), part, manifest)


def _dataset(path: tuple[str, ...], part: Part, manifest: Manifest) -> Iterator[Violation]:
    dataset, vocabulary, context = part.dataset, manifest.tokenizer.vocabulary, manifest.model.context
    if not dataset:
        if part.source == STREAMED:
            yield Violation(path, "absent", f"there where the source is {STREAMED!r}")
        return
    if part.source != STREAMED:
        yield Violation(path, dataset.name, f"absent where the source is {part.source!r}")
    if dataset.revision is not None and not HUB_NAME.match(dataset.name):
        yield Violation((*path, "name"), dataset.name, "a name on the Hub, such as org/name")
    if dataset.end >= vocabulary:
        yield Violation((*path, "end"), dataset.end, f"below tokenizer.vocabulary, which is {vocabulary}")
    if dataset.shuffle * context > MOST_SHUFFLED:
        allowed = f"at most {MOST_SHUFFLED // context} where model.context is {context}"
        yield Violation((*path, "shuffle"), dataset.shuffle, allowed)


def _hash(
    section: tuple[str, ...], key: str, kind: str, sha256: bytes | None, *, needed: bool
) -> Iterator[Violation]:
    path = (*section, "sha256")
    if needed and sha256 is None:
        yield Violation(path, "absent", f"there where {'.'.join(section)}.{key} is {kind!r}")
    elif not needed and sha256 is not None:
        # A hash that nobody checks would make two run ids for one contract.
        yield Violation(path, sha256.hex()[:12], f"absent where {'.'.join(section)}.{key} is {kind!r}")
