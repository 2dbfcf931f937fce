"""The order of the data: a keyed permutation that every peer computes alike, and a walk over its shards.

Window w stands at position p of the permuted order and belongs to shard p mod S. A peer that was dealt
shard k walks shard (k + e) mod S in pass e, so two peers with different shards never read the same window
in the same pass, nobody coordinates anything, and after S passes each has read everything once.
"""

import hashlib
from dataclasses import dataclass

ROUNDS = 6
_MASK64 = (1 << 64) - 1


def scramble(value: int) -> int:
    """Mix 64 bits: the finaliser of SplitMix64 (Steele et al. 2014)."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK64
    return value ^ (value >> 31)


class Permutation:
    """A keyed bijection of range(size): a Feistel network over the next power of two, walked until inside.

    Takes O(1) memory whatever the size, and pure integers make it the same on every platform.
    """

    def __init__(self, size: int, key: bytes) -> None:
        if size < 1:
            raise ValueError("a permutation needs at least one element")
        bits = max(2, (size - 1).bit_length())
        self.size = size
        self._low_bits = bits // 2
        self._high_bits = bits - bits // 2
        digest = hashlib.blake2b(key, digest_size=8 * ROUNDS).digest()
        self._keys = [int.from_bytes(digest[8 * i : 8 * i + 8], "little") for i in range(ROUNDS)]

    def __getitem__(self, index: int) -> int:
        """Return the image of `index`, both in [0, size)."""
        if not 0 <= index < self.size:
            raise IndexError(f"{index} is not in [0, {self.size})")
        value = self._once(index)
        while value >= self.size:
            value = self._once(value)
        return value

    def _once(self, value: int) -> int:
        low_bits, high_bits = self._low_bits, self._high_bits
        high, low = value >> low_bits, value & ((1 << low_bits) - 1)
        for key in self._keys:
            # The halves may differ in width by one bit, and swap their widths with their places.
            high, low = low, high ^ (scramble(low ^ key) & ((1 << high_bits) - 1))
            low_bits, high_bits = high_bits, low_bits
        return (high << low_bits) | low


@dataclass(frozen=True, slots=True)
class Position:
    """Where a walk stands: the pass (one shard long), and the windows of it that were read."""

    pass_: int = 0
    index: int = 0


class Order:
    """The order in which the peer with shard `shard` reads `windows` windows dealt into `shards` shards."""

    def __init__(self, windows: int, shards: int, shard: int, seed: int) -> None:
        if windows < shards:
            raise ValueError(f"{windows} windows cannot be dealt into {shards} shards")
        self.windows = windows
        self.shards = shards
        self.shard = shard % shards
        self._permutation = Permutation(windows, b"murmuration data order %d" % seed)

    def take(self, position: Position, count: int) -> tuple[list[int], Position]:
        """Return the next `count` windows from `position` on, and the position after them."""
        taken: list[int] = []
        pass_, index = position.pass_, position.index
        while len(taken) < count:
            place = (self.shard + pass_) % self.shards + index * self.shards
            if place >= self.windows:
                pass_, index = pass_ + 1, 0
                continue
            taken.append(self._permutation[place])
            index += 1
        return taken, Position(pass_, index)
