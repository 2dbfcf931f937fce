"""A limit that may differ from GPU to GPU: `80` for each, or `0=80,1=70` by their numbers."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from peer.errors import UsageError

if TYPE_CHECKING:
    from peer.governor.limits import Value

MOST = 64
"""GPUs that may be named."""

_ONE = re.compile(r"\s*(\d{1,3})\s*=(.*)")


@dataclass(frozen=True, slots=True)
class PerGpu:
    """A limit of GPUs.

    Attributes:
        each: of every GPU, and of a processor; None where GPUs are named.
        named: of these GPUs, by their number; the others then have no limit.
    """

    each: float | None
    named: tuple[tuple[int, float], ...] = ()

    def of(self, gpu: int | None) -> float | None:
        """Return the limit of a GPU, or of a processor, which has no number."""
        return dict(self.named).get(gpu, self.each) if gpu is not None else self.each

    @property
    def plain(self) -> float | dict[int, float] | None:
        """The same for another process: one value, or one for each GPU that is named."""
        return dict(self.named) if self.named else self.each

    def in_words(self, write: Callable[[float], str]) -> str:
        """Say it: 80 °C, or 80 °C (GPU 0), 70 °C (GPU 1)."""
        if self.each is not None:
            return write(self.each)
        return ", ".join(f"{write(value)} (GPU {gpu})" for gpu, value in self.named)


def per_gpu(read: Callable[["Value"], float]) -> Callable[["Value"], PerGpu]:
    """Return what reads such a limit, where `read` reads one value of it.

    A part that is wrong is refused by `read`, or here, with a `UsageError`.
    """

    def read_all(value: "Value") -> PerGpu:
        if not isinstance(value, str) or "=" not in value:
            return PerGpu(read(value))
        found: dict[int, float] = {}
        for part in value.split(","):
            match = _ONE.fullmatch(part)
            if match is None:
                raise UsageError(f"{part.strip()!r} of {value!r} names no GPU", "Write it like 0=80,1=70")
            gpu = int(match[1])
            if gpu in found:
                raise UsageError(f"{value!r} names GPU {gpu} twice", "Name each GPU once")
            found[gpu] = read(match[2].strip())
        if len(found) > MOST:
            raise UsageError(f"more than {MOST} GPUs are named", "Name fewer, or write one value for all")
        return PerGpu(None, tuple(sorted(found.items())))

    return read_all
