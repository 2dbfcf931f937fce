"""A learner without a model: its weights are a few numbers, its inner step is a pause on the virtual clock.

It takes real outer steps of the `gossip` kind without momentum (share x, then x <- x + (x_j - x)/2), so that
tests can see from the numbers alone whether every mix was taken by both sides or by neither.
"""

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import trio

from peer.swarm.learner import LearnerGoneError
from peer.swarm.pairing import OwnShare
from protocol.messages import ObjectRef
from protocol.trainer import Captured, Mixed, State

Publish = Callable[[OwnShare, str], None]


@dataclass(slots=True)
class ToyLearner:
    """Trains for `outer_steps` of `seconds` each."""

    spool: Path
    value: float
    seconds: float
    outer_steps: int
    waits: bool = False
    """The strict form: wait at each boundary for the mix or for word that there is none."""
    padding: int = 0
    """Bytes that each share carries beside its number."""
    publish: Publish | None = None
    outer_step: int = 0
    mixes: int = 0
    skips: int = 0
    dead: bool = False
    _shared: dict[int, float] = field(default_factory=dict)
    _settled: trio.Event = field(default_factory=trio.Event)

    async def run(self) -> None:
        """Take every outer step; share after each."""
        while self.outer_step < self.outer_steps:
            await trio.sleep(self.seconds)
            self.outer_step += 1
            self._settled = trio.Event()
            self._share()
            if self.waits:
                await self._settled.wait()

    def _share(self) -> None:
        step = self.outer_step
        self._shared[step] = self.value
        self._shared.pop(step - 3, None)
        name, ref = self._write(f"share-{step}", struct.pack("<dq", self.value, step) + bytes(self.padding))
        final = step == self.outer_steps
        if self.publish is not None:
            self.publish(OwnShare(step, step, ref, "fp32", fresh=True, final=final), name)

    def _write(self, name: str, data: bytes) -> tuple[str, ObjectRef]:
        (self.spool / name).write_bytes(data)
        return name, ObjectRef(sha256=hashlib.sha256(data).digest(), size=len(data))

    async def mix(self, share: int, file: str, codec: str) -> Mixed:
        """See `Learner`."""
        del codec
        if self.dead:
            raise LearnerGoneError
        path = self.spool / file
        theirs = struct.unpack_from("<d", path.read_bytes())[0]
        path.unlink()
        if share not in self._shared:
            return _answer(share, 0.0, ours=True)
        distance = theirs - self._shared[share]
        self.value += distance / 2
        self.mixes += 1
        self._settled.set()
        return _answer(share, abs(distance), ours=False)

    async def no_mix(self, share: int) -> None:
        """See `Learner`."""
        del share
        self.skips += 1
        self._settled.set()

    async def capture(self) -> Captured:
        """See `Learner`."""
        if self.dead:
            raise LearnerGoneError
        name, ref = self._write(f"state-{self.outer_step}", struct.pack("<d", self.value))
        state = State(file=name, inner_step=0, outer_step=self.outer_step, tokens=0)
        return Captured(state=state, size=ref.size, sha256=ref.sha256)


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
