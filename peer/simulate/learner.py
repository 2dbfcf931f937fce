"""A learner without a model: its weights are a few numbers, its inner step is a pause on the virtual clock.

It takes real outer steps of the `gossip` kind without momentum (share x, then x <- x + (x_j - x)/2), so that
tests can see from the numbers alone whether every mix was taken by both sides or by neither.
"""

import hashlib
import math
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import trio

from peer.swarm.choice import ON_DEMAND
from peer.swarm.engagement import OwnShare
from peer.swarm.learner import LearnerGoneError
from protocol.limits import MAX_STANDING
from protocol.messages import ObjectRef
from protocol.trainer import Blob, Captured, Encoded, Member, Mixed, Opened, Parts, Reduced, State

Publish = Callable[[OwnShare, Sequence[str]], None]

GRID = 1024
"""Steps to 1 of the coarse codec in which a share is written for one receiver."""

PLAIN_BITS = {"fp32": 32, "bf16": 16, "int8": 8}

BLOCKS = 8
"""Blocks that a share is said to have."""

KEPT = 2
"""Shares of a fragment that stay open, as in the trainer."""


@dataclass(slots=True)
class ToyLearner:
    """Trains for `outer_steps` of `seconds` each; fragments take theirs one after the other within them."""

    spool: Path
    values: list[float]
    """The weights: a number a fragment."""
    seconds: float
    rng: random.Random
    codec: str = "fp32"
    outer_steps: int = 10
    waits: bool = False
    """The strict form: wait at each boundary for the mix or for word that there is none."""
    padding: int = 0
    """Bytes that each share carries beside its number."""
    times: int = 1
    """Mixes of one share."""
    fails: float = 0.0
    """How often a partner's share that was written for us has blocks that do not decode."""
    fails_twice: bool = False
    """Such blocks do not decode the second time either."""
    thinks: float = 0.0
    """Seconds before each answer: a trainer looks up between inner steps."""
    grouped: bool = False
    """More than two peers mix: a share is cut into parts when a group asks."""
    jitter: float = 0.0
    """By which part a step takes longer or shorter at most."""
    begins: float = 0.0
    """Seconds before the first outer step begins."""
    drift: float = 0.0
    """By how much the weights change from one outer step to the next, about."""
    learns: float = 0.0
    """What every outer step adds to the weights."""
    reach: float = math.inf
    """The largest distance of a partner's share that is mixed."""
    publish: Publish | None = None
    tell_boundary: Callable[[float], None] = lambda _: None
    """Hears at the begin of a step in how many seconds its share comes."""
    outer_step: int = 0
    mixes: int = 0
    skips: int = 0
    dead: bool = False
    landed: list[bytes] = field(default_factory=list)
    """Hashes of the averages that groups have brought."""
    together: list[bool] = field(default_factory=list)
    """Whether the groups that we were in began alike."""
    _began: dict[int, float] = field(default_factory=dict)
    _numbered: int = 0
    _files: int = 0
    _open: dict[int, "_Open"] = field(default_factory=dict)
    _promised: int = 0
    _settled: trio.Event = field(default_factory=trio.Event)
    _near: set[int] = field(default_factory=set)

    @property
    def value(self) -> float:
        """Mean of the weights."""
        return sum(self.values) / len(self.values)

    async def run(self) -> None:
        """Take every outer step; share after each."""
        await trio.sleep(self.begins)
        while self.outer_step < self.outer_steps:
            for fragment in range(len(self.values)):
                pause = self._pause() / len(self.values)
                self.tell_boundary(pause)
                await trio.sleep(pause)
                last = fragment == len(self.values) - 1
                self.outer_step += last
                self._settled = trio.Event()
                self._share(fragment, self.outer_step + (not last), self.times)
                if self.waits:
                    await self._settled.wait()

    def _pause(self) -> float:
        if not self.jitter:
            return self.seconds
        return self.seconds * self.rng.uniform(1.0 - self.jitter, 1.0 + self.jitter)

    def _share(self, fragment: int, step: int, mixes_left: int) -> None:
        self._numbered += 1
        began = self._began.get(fragment, self.values[fragment])
        if self.drift and mixes_left == self.times:
            self.values[fragment] += self.drift * self.rng.gauss(0.0, 1.0)
        if self.learns and mixes_left == self.times:
            self.values[fragment] += self.learns
        if self.grouped:
            self._began[fragment] = self.values[fragment]
        number, value = self._numbered, self.values[fragment]
        self._open[number] = _Open(fragment, step, mixes_left, value)
        for closed in self._of(fragment)[:-KEPT]:
            if closed != self._promised:
                del self._open[closed]
        body = (
            None
            if self.grouped or self.codec in ON_DEMAND
            else self._write(_pack(number, value, self.padding))
        )
        bounds = self._write(bytes([fragment] * 4)) if self._sends_bounds(fragment) else None
        share = OwnShare(
            share=number,
            fragment=fragment,
            outer_step=step,
            tokens=step,
            standing=MAX_STANDING,
            codec=self.codec,
            ref=_ref(body),
            bounds=_ref(bounds),
            reference=hashlib.sha256(struct.pack("<d", began)).digest() if self.grouped else None,
            mixed=self.times - mixes_left,
            final=step == self.outer_steps,
        )
        if self.publish is not None:
            self.publish(share, [blob.file for blob in (body, bounds) if blob is not None])

    def restart(self) -> None:
        """Begin again from the first outer step, as a trainer that died does from a checkpoint."""
        self.outer_step = 0
        self._open.clear()
        self._settled.set()

    def _sends_bounds(self, fragment: int) -> bool:
        return self.codec == "auto" or (self.codec in ON_DEMAND and fragment in self._near)

    def _write(self, data: bytes) -> Blob:
        self._files += 1
        name = f"out-{self._files}"
        (self.spool / name).write_bytes(data)
        return Blob(file=name, size=len(data), sha256=hashlib.sha256(data).digest())

    def _read(self, file: str) -> bytes:
        path = self.spool / file
        data = path.read_bytes()
        path.unlink()
        return data

    async def _think(self) -> None:
        await trio.sleep(self.thinks)
        if self.dead:
            raise LearnerGoneError

    async def mix(self, share: int, file: str | None, codec: str, tokens: int, standing: int) -> Mixed:
        """See `Learner`."""
        del codec, tokens, standing
        await self._think()
        data = self._read(file) if file is not None else None
        ours = self._open.pop(share, None)
        theirs = _unpack(data) if data is not None else ours.theirs if ours is not None else None
        if ours is None or theirs is None:
            return _answer(share, 0.0, ours=True)
        distance = theirs - ours.sent
        if abs(distance) > self.reach:
            self._open[share] = ours
            reason = f"its x differs from ours by {abs(distance):.3g} in norm"
            return msgspec.structs.replace(
                _answer(share, abs(distance), ours=False), accepted=False, reason=reason
            )
        self.values[ours.fragment] += distance / 2
        self.mixes += 1
        self._near.add(ours.fragment)
        self._settled.set()
        if share == max([share, *self._of(ours.fragment)]) and ours.mixes_left > 1:
            self._share(ours.fragment, ours.outer_step, ours.mixes_left - 1)
        return _answer(share, abs(distance), ours=False)

    def _of(self, fragment: int) -> list[int]:
        return [share for share, held in self._open.items() if held.fragment == fragment]

    async def no_mix(self, share: int) -> None:
        """See `Learner`."""
        self._open.pop(share, None)
        self.skips += 1
        self._settled.set()

    async def keep(self, share: int) -> None:
        """See `Learner`."""
        self._promised = share

    async def capture(self) -> Captured:
        """See `Learner`."""
        await self._think()
        blob = self._write(struct.pack("<d", self.value))
        state = State(file=blob.file, inner_step=0, outer_step=self.outer_step, tokens=0)
        return Captured(state=state, size=blob.size, hashes=blob.sha256)

    # ---- an exchange in which each side encodes for the other

    async def encode(self, share: int, codec: str, bits: int, bounds: str | None) -> Encoded:
        """See `Learner`. On the coarse grid where there are bounds; what the receiver will read is kept."""
        if bounds is not None:
            self._read(bounds)
        await self._think()
        ours = self._open.get(share)
        if ours is None:
            return Encoded(share=share, body=None, reason="our share is no longer kept")
        ours.sent = round(ours.value * GRID) / GRID if codec == "modulo" else ours.value
        padding = self.padding * PLAIN_BITS.get(codec, bits) // 32
        return Encoded(share=share, body=self._write(_pack(share, ours.sent, padding)))

    async def open(self, share: int, file: str, codec: str) -> Opened:
        """See `Learner`."""
        data = self._read(file)
        await self._think()
        ours = self._open.get(share)
        if ours is None:
            return _opened(share, reason="our share is no longer kept")
        ours.theirs = _unpack(data)
        if codec == "modulo" and self.rng.random() < self.fails:
            return _opened(share, failed=self._write(b"\x01"))
        return _opened(share)

    async def encode_again(self, share: int, failed: str) -> Encoded:
        """See `Learner`. The blocks come exactly."""
        self._read(failed)
        await self._think()
        ours = self._open.get(share)
        if ours is None:
            return Encoded(share=share, body=None, reason="our share is no longer kept")
        ours.sent = ours.value
        return Encoded(share=share, body=self._write(_pack(share, ours.value, 0)))

    async def open_again(self, share: int, file: str) -> Opened:
        """See `Learner`."""
        data = self._read(file)
        await self._think()
        ours = self._open.get(share)
        if ours is None:
            return _opened(share, reason="our share is no longer kept")
        ours.theirs = _unpack(data)
        return _opened(share, failed=self._write(b"\x01") if self.fails_twice else None)

    # ---- a group of more than two

    async def split(self, share: int, parts: int, codec: str, *, together: bool) -> Parts:
        """See `Learner`. Each part bears our number, and its share of the padding."""
        del codec
        await self._think()
        ours = self._open.get(share)
        if ours is None:
            return Parts(share=share, parts=())
        self.together.append(together)
        written = [self._write(_pack(part, ours.value, self.padding // parts)) for part in range(parts)]
        return Parts(share=share, parts=tuple(written))

    async def reduce(self, share: int, part: int, members: Sequence[Member]) -> Reduced:
        """See `Learner`."""
        await self._think()
        pieces = [(member.weight, self._read(member.file)) for member in members]
        if share not in self._open:
            return Reduced(share=share, part=part, body=None, refused=())
        mean = sum(weight * _unpack(data) for weight, data in pieces) / sum(weight for weight, _ in pieces)
        body = self._write(_pack(part, mean, len(pieces[0][1]) - PACKED))
        return Reduced(share=share, part=part, body=body, refused=())

    async def assemble(self, share: int, parts: Sequence[str], weight: float) -> Mixed:
        """See `Learner`. What was learned since the share was made is kept."""
        del weight
        await self._think()
        averages = [self._read(part) for part in parts]
        ours = self._open.pop(share, None)
        if ours is None:
            return _answer(share, 0.0, ours=True)
        mean = sum(_unpack(data) for data in averages) / len(averages)
        since, fragment = self.values[ours.fragment] - ours.value, ours.fragment
        self.values[fragment] = self._began[fragment] = mean + since
        self.landed.append(hashlib.sha256(b"".join(averages)).digest())
        self.mixes += 1
        self._settled.set()
        return _answer(share, abs(mean - ours.value), ours=False)


@dataclass(slots=True)
class _Open:
    """A share that may still be mixed."""

    fragment: int
    outer_step: int
    mixes_left: int
    value: float
    sent: float = field(init=False)
    """What the partner reads."""
    theirs: float | None = None
    """What was opened beside it."""

    def __post_init__(self) -> None:
        self.sent = self.value


def _ref(blob: Blob | None) -> ObjectRef | None:
    return None if blob is None else ObjectRef(sha256=blob.sha256, size=blob.size)


PACKED = 16
"""Bytes of a share without its padding."""


def _pack(share: int, value: float, padding: int) -> bytes:
    return struct.pack("<dq", value, share) + bytes(padding)


def _unpack(data: bytes) -> float:
    value: float = struct.unpack_from("<d", data)[0]
    return value


def _opened(share: int, *, failed: Blob | None = None, reason: str = "") -> Opened:
    return Opened(
        share=share,
        failed=failed,
        failed_blocks=int(failed is not None),
        blocks=BLOCKS,
        reason=reason,
        ours=bool(reason),
    )


def _answer(share: int, distance: float, *, ours: bool) -> Mixed:
    return Mixed(
        share=share,
        accepted=not ours,
        reason="our share is no longer kept" if ours else "",
        distance=distance,
        relative_distance=0.0,
        late_by=0,
        ours=ours,
    )
