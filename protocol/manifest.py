"""The manifest: a run's contract. Its canonical bytes are hashed (the run id) and signed by its founder.

Bounds that one field can show alone stand in its type; those between fields stand in `protocol.rules`.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from protocol import identity
from protocol.codec import Message, decode, digest, encode
from protocol.errors import ProtocolError
from protocol.foreign import Digest, Pretrained, Task
from protocol.identity import Identity
from protocol.limits import MAX_GROUP, MAX_MANIFEST
from protocol.streamed import Dataset

PROTOCOL_VERSION = 1

Positive = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Fraction = Annotated[float, Meta(ge=0.0, lt=1.0)]
Rate = Annotated[float, Meta(gt=0.0, le=10.0)]
CodecName = Literal["fp32", "bf16", "int8", "ecsq", "e3m0", "topk", "modulo", "auto"]
TextSource = Literal["shakespeare", "python", "text", "tokens", "hf"]
Weight = Annotated[float, Meta(gt=0.0, le=1e6)]

MAX_PARTS = 16
"""Sources of a mixture."""


class Model(Message, frozen=True):
    """A decoder-only transformer (RMSNorm, RoPE, SwiGLU, tied embedding)."""

    layers: Annotated[int, Meta(ge=1, le=256)] = 2
    width: Annotated[int, Meta(ge=16, le=16384)] = 128
    heads: Annotated[int, Meta(ge=1, le=256)] = 2
    hidden: Annotated[int, Meta(ge=16, le=65536)] = 352
    context: Annotated[int, Meta(ge=8, le=131072)] = 128
    rope_base: Annotated[float, Meta(gt=1.0, le=1e9)] = 10000.0
    sha256: Digest | None = None
    """Hash of the safetensors file that holds the first weights; None where they come from the seed."""
    pretrained: Pretrained | UnsetType = UNSET
    """A model of `transformers` in its place: of the fields above only `context` counts then. Where it is not
    given it leaves no trace in the encoding, so that manifests from before it keep their ids."""


class Tokenizer(Message, frozen=True):
    """How text becomes tokens: `bytes` (256 of them), or a Hugging Face `tokenizer.json`."""

    kind: Literal["bytes", "file"] = "bytes"
    vocabulary: Annotated[int, Meta(ge=2, le=1 << 20)] = 256
    sha256: Digest | None = None
    """Hash of the tokenizer file; None for `bytes`."""


class Part(Message, frozen=True):
    """One source of training text, named by content so that every peer reads the same."""

    source: TextSource
    sha256: Digest | None = None
    """Hash of the text or token file; None for the embedded corpus, which comes with the code."""
    dataset: Dataset | UnsetType = UNSET
    """What is streamed, where the source is `hf`."""
    weight: Weight = 1.0
    """Of all that is trained on, this part comes from here: its weight over the sum of all weights."""

    @property
    def needs_place(self) -> bool:
        """Whether each peer must say where it has the text."""
        if self.dataset:
            return self.dataset.revision is None
        return self.source in ("text", "tokens")


class Data(Message, frozen=True):
    """The training text: one source, or a mixture of several."""

    source: Literal[TextSource, "mixture"] = "shakespeare"
    sha256: Digest | None = None
    """As in `Part`."""
    held_out: Annotated[float, Meta(gt=0.0, le=0.5)] = 0.05
    """Share of the text that no peer trains on."""
    shards: Annotated[int, Meta(ge=1, le=1 << 16)] = 64
    """The text is dealt into so many shards; peers with different shards never read the same window."""
    dataset: Dataset | UnsetType = UNSET
    """As in `Part`. Fields that are not given leave no trace in the encoding: see `Model.pretrained`."""
    mixture: Annotated[tuple[Part, ...], Meta(min_length=1, max_length=MAX_PARTS)] | UnsetType = UNSET

    @property
    def parts(self) -> tuple[Part, ...]:
        """The sources, of which most runs have one."""
        if self.source == "mixture":
            return self.mixture or ()
        return (Part(source=self.source, sha256=self.sha256, dataset=self.dataset),)

    @property
    def places(self) -> int:
        """How many of them each peer must say where it has."""
        return sum(part.needs_place for part in self.parts)


class Inner(Message, frozen=True):
    """The inner optimiser, with warm-up, cosine and clipping."""

    kind: Literal["adamw", "muon", "sgd"] = "adamw"
    """`muon`: Muon on the hidden matrices, AdamW on the rest. `sgd`: plain, without momentum."""
    learning_rate: Rate = 4e-3
    final_ratio: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.1
    """Learning rate at the end of the cosine, as a share of the peak."""
    warmup: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 20
    steps: Positive = 10_000
    """Inner steps of the cosine's horizon; beyond it the rate stays at its end."""
    beta1: Fraction = 0.9
    beta2: Fraction = 0.95
    weight_decay: Annotated[float, Meta(ge=0.0, le=10.0)] = 0.1
    clip: Annotated[float, Meta(gt=0.0, le=1e6)] = 1.0
    batch: Annotated[int, Meta(ge=1, le=65536)] = 8
    """Sequences of one inner step."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto`: bf16 autocast where the device computes in it, else fp32."""


class Outer(Message, frozen=True):
    """The outer rule (DESIGN.md section 2)."""

    preset: Literal[
        "noloco", "gossip", "streaming-gossip", "diloco", "streaming-diloco", "solo", "onebyte"
    ] = "gossip"
    every: Positive = 20
    """H: inner steps between two outer steps."""
    alpha: Fraction = 0.8
    """Outer momentum."""
    beta: Annotated[float, Meta(ge=0.0, le=2.0)] = 0.7
    """Outer learning rate; for `noloco` also the strength of the mix (gamma = beta)."""
    overlap: bool = True
    """Train on while the exchange is in flight. False is the strict form, which waits for it."""
    seeks: Annotated[int, Meta(ge=1, le=8)] = 3
    """A peer seeks exchanges until its outer step has been in so many; it answers others all the same."""
    mixes: Annotated[int, Meta(ge=1, le=16)] = 8
    """The most exchanges that one outer step takes part in, sought or answered. Without some to spare, peers
    that have had theirs turn others away, and those that reach their boundaries together pair with each other
    again and again, instead of at random."""
    group: Annotated[int, Meta(ge=1, le=MAX_GROUP)] = 2
    """The most peers in one mix. Above 2, all who are ready within a window, up to so many."""
    fragments: Annotated[int, Meta(ge=1, le=256)] = 1
    """Parts of the model (strided layers), each with an outer step on an offset of its own."""
    landing: Literal["add", "blend", "blend_by_delay"] = "blend_by_delay"
    """How a mix lands. `add`: onto the weights of the moment, which keeps what was learned in flight.
    `blend`: keep·θ + (1 - keep)·φ of the weights of the moment and the slow weights (Streaming DiLoCo).
    `blend_by_delay`: the same, but of the weights of the moment stays what part of H steps they are late."""
    keep: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5
    """What `blend` keeps of the weights of the moment, and `blend_by_delay` at most."""
    warming: Annotated[int, Meta(ge=0, le=10_000)] = 4
    """After t outer steps the outer momentum is (1 + t) / (1 + warming + t), alpha at most."""
    weights: Literal["equal", "tokens"] = "equal"
    """What each share counts for: the same, or the tokens that were trained for it."""


class OneByte(Message, frozen=True):
    """The preset `onebyte` (arXiv 2306.10015): forward passes only, one byte a perturbation."""

    epsilon: Annotated[float, Meta(gt=0.0, le=1.0)] = 1e-3
    """Size of a perturbation: each weight moves by so much, up or down."""
    learning_rate: Rate = 3e-4
    samples: Annotated[int, Meta(ge=1, le=256)] = 4
    """Perturbations of one inner step, a byte each."""


class Manifest(Message, frozen=True, kw_only=True):
    """The whole contract of a run."""

    protocol: Annotated[int, Meta(ge=1, le=2**31 - 1)] = PROTOCOL_VERSION
    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9 ._-]+$")] = "default"
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    """Of the first weights and of the order of the data."""
    model: Model = Model()
    tokenizer: Tokenizer = Tokenizer()
    data: Data = Data()
    inner: Inner = Inner()
    outer: Outer = Outer()
    onebyte: OneByte = OneByte()
    codecs: Annotated[tuple[CodecName, ...], Meta(min_length=1, max_length=8)] = ("int8",)
    """Codecs allowed in exchanges, the preferred one first; `auto` chooses for each link."""
    modulo_bits: Annotated[int, Meta(ge=3, le=8)] = 4
    """Bits a value that the codec `modulo` sends. With fewer than 3 the rounding is more than the distance
    between partners, and mixing drives them apart."""
    founder: Annotated[bytes, Meta(min_length=32, max_length=32)]
    """The founder's Ed25519 public key."""
    task: Task | UnsetType = UNSET
    """A task of a plug-in in place of model, tokenizer and data."""


class SignedManifest(Message, frozen=True):
    """A manifest's canonical bytes and the founder's signature over them."""

    manifest: Annotated[bytes, Meta(max_length=MAX_MANIFEST)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]

    @property
    def run_id(self) -> bytes:
        """SHA-256 of the canonical bytes: 32 bytes."""
        return digest(self.manifest)


def sign(manifest: Manifest, founder: Identity) -> SignedManifest:
    """Seal `manifest`, which must name `founder`'s key."""
    if manifest.founder != founder.public_key:
        raise ValueError("the manifest names another founder")
    data = encode(manifest)
    return SignedManifest(manifest=data, signature=founder.sign("manifest", data))


def open_manifest(sealed: SignedManifest) -> Manifest:
    """Return the manifest inside, once its encoding and its signature have been checked.

    Raises:
        ProtocolError: not of the schema, not canonical, or not signed by the founder that it names.
    """
    manifest = decode(sealed.manifest, Manifest, MAX_MANIFEST)
    # Two encodings of one manifest would be two run ids for one contract.
    if encode(manifest) != sealed.manifest:
        raise ProtocolError("the manifest is not in its canonical encoding")
    identity.verify(manifest.founder, "manifest", sealed.manifest, sealed.signature)
    return manifest


def differences(ours: Manifest, theirs: Manifest) -> list[str]:
    """Name each differing field with both values, such as `inner.batch: 8 here, 16 there`."""
    return list(_differences("", ours, theirs))


def _differences(path: str, ours: msgspec.Struct, theirs: msgspec.Struct) -> list[str]:
    lines: list[str] = []
    for name in ours.__struct_fields__:
        here, there = getattr(ours, name), getattr(theirs, name)
        if isinstance(here, msgspec.Struct) and isinstance(there, msgspec.Struct):
            lines += _differences(f"{path}{name}.", here, there)
        elif name == "mixture" and here and there and len(here) == len(there):
            for index, parts in enumerate(zip(here, there, strict=True)):
                lines += _differences(f"{path}{name}[{index}].", *parts)
        elif here != there:
            lines.append(f"{path}{name}: {_show(here)} here, {_show(there)} there")
    return lines


def _show(value: object) -> str:
    if value is UNSET:
        return "none"
    if isinstance(value, bytes):
        return value.hex()[:12]
    if isinstance(value, Pretrained):
        return f"{value.source} ({_show(value.weights)})"
    if isinstance(value, Task):
        return f"{value.package} {value.version}"
    if isinstance(value, dict):
        return ", ".join(f"{name} = {item}" for name, item in sorted(value.items())) or "none"
    if isinstance(value, Dataset):
        return f"{value.name} ({_show(value.files)})"
    if isinstance(value, Part):
        return f"{value.weight:g} {_show(value.dataset) if value.dataset else value.source}"
    if isinstance(value, tuple):
        return ", ".join(_show(item) for item in value)
    return str(value)
