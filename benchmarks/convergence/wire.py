"""What shares go through between replicas: codecs, the bytes that they take, and the blocks that fail."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from torch import Tensor

from peer.codec import modulo
from peer.codec.bounds import DECAY
from peer.codec.feedback import Feedback
from peer.codec.formats import FORMATS, blocks_size, bounds_size, failed_size, modulo_blocks
from peer.codec.modulo import Bounds
from peer.codec.registry import get
from peer.outer.group import mean_share
from peer.outer.step import Shared
from peer.trainer.replica import FEEDBACK_CODEC

FP32_BYTES = 4


@dataclass
class Blocks:
    """Blocks that `modulo` sent, and those that decoded wrong and were sent again."""

    sent: int = 0
    failed: int = 0


Key = tuple[int, int, int]
"""Whose it is, a fragment, and the number of a tensor."""


class Wire:
    """Encodes, counts and decodes.

    Attributes:
        codec: a name of the registry, or `modulo` with its bits, such as `modulo4`.
        sent: bytes that each replica has sent.
    """

    def __init__(self, codec: str, seed: int) -> None:
        self.codec = codec
        self.sent: Counter[int] = Counter()
        self._bits = int(codec.removeprefix("modulo")) if codec.startswith("modulo") else 0
        self._bounds: dict[Key, Bounds] = {}
        self._feedback: dict[Key, Feedback] = {}
        self._turns: Counter[tuple[int, int]] = Counter()
        self._seed = seed << 32
        self._blocks: list[Blocks] = []

    @property
    def codes_updates(self) -> bool:
        """Whether the codec is for what an update has changed, so that a reference must be taken off."""
        return not self._bits and FORMATS[self.codec].reference == "phi"

    def next_outer_step(self, fragment: int, ready: Sequence[int]) -> None:
        """Count failed blocks anew, and the mixes of those that have new shares."""
        self._blocks.append(Blocks())
        for member in ready:
            self._turns[member, fragment] = 0

    def pair(
        self, one: int, other: int, share: Shared, others: Shared, fragment: int
    ) -> tuple[Shared, Shared]:
        """Return both shares as the partner decodes them, which is also how the sender knows them."""
        if not self._bits:
            return self._send(one, share), self._send(other, others)
        columns = range(len(share))
        sent = [self._modulo(one, other, share[k], others[k], fragment, k) for k in columns]
        answered = [self._modulo(other, one, others[k], share[k], fragment, k) for k in columns]
        for k in columns:
            for receiver, own, decoded in ((other, others[k], sent[k]), (one, share[k], answered[k])):
                key = (receiver, fragment, k)
                self._bounds[key] = Bounds.from_distance(
                    own,
                    decoded,
                    self._bounds.get(key),
                    decay=1.0 if self._turns[receiver, fragment] else DECAY,
                    bits=self._bits,
                )
        for member in (one, other):
            self._turns[member, fragment] += 1
        return tuple(sent), tuple(answered)

    def reduce(
        self,
        members: Sequence[int],
        shares: Sequence[Shared],
        references: Sequence[Shared] | None,
        weights: Sequence[float],
        fragment: int,
    ) -> Shared:
        """Return the mean that all members of a group end with: reduce-scatter, then all-gather.

        Each member sends the others' parts of its own share, and its part of the mean to everybody.

        Args:
            members: who takes part.
            shares: theirs.
            references: what is taken off each share before it is coded, and put back on the mean.
            weights: what each counts for.
            fragment: of which the shares are.
        """
        if references is not None:
            shares = [
                tuple(tensor - base for tensor, base in zip(share, reference, strict=True))
                for share, reference in zip(shares, references, strict=True)
            ]
        codec = "int8" if self.codes_updates and references is None else self.codec
        decoded = [
            self._with_feedback(member, fragment, share)
            if codec == FEEDBACK_CODEC
            else _through(codec, share)
            for member, share in zip(members, shares, strict=True)
        ]
        # As in the daemon: what loses much is not put upon a mean of what has lost as much already.
        again = "int8" if self.codes_updates else self.codec
        mean, size = _through(again, mean_share([share for share, _ in decoded], weights))
        n = len(members)
        for member, (_, own) in zip(members, decoded, strict=True):
            self.sent[member] += (own + size) * (n - 1) // n
        if references is not None:
            base = mean_share(references, weights)
            return tuple(update + part for update, part in zip(mean, base, strict=True))
        return mean

    def statistics(self) -> dict[str, object]:
        """Return the share of `modulo`'s blocks that failed: in all, and in the worst outer step."""
        if not self._bits:
            return {}
        rates = [blocks.failed / blocks.sent for blocks in self._blocks if blocks.sent]
        sent = sum(blocks.sent for blocks in self._blocks)
        return {
            "failed": sum(blocks.failed for blocks in self._blocks) / max(1, sent),
            "failed_worst": max(rates, default=0.0),
            "last": asdict(self._blocks[-1]) if self._blocks else {},
        }

    def _modulo(
        self, sender: int, receiver: int, x: Tensor, reference: Tensor, fragment: int, k: int
    ) -> Tensor:
        """Send x to one who holds `reference`, as two daemons do; return x̂, the same on both sides."""
        values = x.numel()
        bounds = self._bounds.get((receiver, fragment, k))
        if bounds is None:  # no distance is known before the first exchange
            self.sent[sender] += FP32_BYTES * values
            return x.clone()
        self._seed += 1
        encoded = modulo.encode(x, bounds, self._bits, self._seed)
        decoded, failed = modulo.decode(encoded.data, reference, bounds)
        modulo.decode_blocks(modulo.encode_blocks(x, failed), failed, decoded)
        self.sent[sender] += len(encoded.data) + blocks_size(values, failed.numel())
        self.sent[receiver] += bounds_size(values) + failed_size(values)
        self._blocks[-1].sent += modulo_blocks(values)
        self._blocks[-1].failed += failed.numel()
        return decoded

    def _send(self, sender: int, share: Shared) -> Shared:
        decoded, size = _through(self.codec, share)
        self.sent[sender] += size
        return decoded

    def _with_feedback(self, member: int, fragment: int, share: Shared) -> tuple[Shared, int]:
        sent: list[Tensor] = []
        size = 0
        for k, tensor in enumerate(share):
            feedback = self._feedback.setdefault((member, fragment, k), Feedback(tensor.numel()))
            data, decoded = feedback.encode(get(self.codec), tensor)
            sent.append(decoded)
            size += len(data)
        return tuple(sent), size


def _through(name: str, share: Shared) -> tuple[Shared, int]:
    if name == "fp32":
        return tuple(tensor.clone() for tensor in share), sum(FP32_BYTES * t.numel() for t in share)
    codec = get(name)
    encoded = [codec.encode(tensor) for tensor in share]
    decoded = [codec.decode(data, tensor.numel()) for data, tensor in zip(encoded, share, strict=True)]
    return tuple(decoded), sum(map(len, encoded))
