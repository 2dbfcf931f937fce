"""What a plan is asked for, and what it chooses."""

from dataclasses import dataclass

from peer.plan.shape import flops_a_token
from protocol.manifest import Model
from protocol.sizes import model_parameters


@dataclass(frozen=True, slots=True)
class Power:
    """What one peer computes with.

    Attributes:
        flops: floating-point operations a second at its peak, by its vendor.
        mfu: the part of it that training reaches.
        watts: drawn while it trains; None where it is not known.
        assumed: whether the part is a guess.
        memory: bytes on the device; None where it is not known.
        device: its name among those with known figures; None for figures of one's own.
    """

    flops: float
    mfu: float
    watts: float | None = None
    assumed: bool = True
    memory: float | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """What lies between a peer and the others: bytes a second each way, and seconds there and back."""

    up: float
    down: float
    round_trip: float


@dataclass(frozen=True, slots=True)
class Question:
    """A swarm to plan.

    Attributes:
        model: its shape.
        vocabulary: tokens that its tokenizer knows.
        peers: how many train, all alike.
        tokens: to train on, all peers together.
        preset: the outer rule.
        power: of a peer; None where it is not known, and so neither is anything that takes time.
        link: of a peer; None where it is not known.
        monthly: bytes that a peer may send a month; None for any number.
    """

    model: Model
    vocabulary: int
    peers: int
    tokens: float
    preset: str
    power: Power | None = None
    link: Link | None = None
    monthly: float | None = None

    @property
    def parameters(self) -> int:
        """Trainable parameters: N."""
        return model_parameters(self.model, self.vocabulary)

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens a second of one peer, or None where its power is not known."""
        if self.power is None:
            return None
        return self.power.flops * self.power.mfu / flops_a_token(self.model, self.vocabulary)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a plan leaves to choose; the names are those of `run.toml`.

    Attributes:
        every: H.
        codec: how shares are written.
        bits: of a value, where the codec is `modulo`.
        batch: sequences of one inner step of one peer.
        learning_rate: its peak.
        warmup: inner steps.
        steps: inner steps of one peer until all tokens are trained on.
        beta: the outer learning rate.
    """

    every: int
    codec: str
    bits: int
    batch: int
    learning_rate: float
    warmup: int
    steps: int
    beta: float
