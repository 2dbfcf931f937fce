"""Objects on their way now: those that we pull, and those that others pull of us."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import trio

FORGOTTEN = 15.0
"""Seconds in which a peer takes nothing more of an object, after which it is no longer on its way."""

MOST_LEAVING = 64
"""Objects that others pull of us and that are kept in mind; the newest count."""


class Growing(Protocol):
    """Something that arrives.

    Attributes:
        size: its bytes.
    """

    size: int

    @property
    def received(self) -> int:
        """Bytes that have come."""


@dataclass(frozen=True, slots=True)
class TransferStatistics:
    """One object on its way.

    Attributes:
        peer_id: who gives it, or takes it.
        outward: a peer takes it of us.
        size: its bytes.
        moved: bytes that have passed.
        seconds: since the first was asked for.
    """

    peer_id: str
    outward: bool
    size: int
    moved: int
    seconds: float


@dataclass(slots=True)
class _Leaving:
    size: int
    began: float = field(default_factory=trio.current_time)
    last: float = field(default_factory=trio.current_time)
    moved: int = 0


class Transfers:
    """Keeps in mind what is on its way. Costs an addition a piece."""

    def __init__(self) -> None:
        self._coming: dict[int, tuple[str, Growing, float]] = {}
        self._next = 0
        self._leaving: OrderedDict[tuple[str, bytes], _Leaving] = OrderedDict()

    @contextmanager
    def coming(self, peer_id: str, wanted: Growing) -> Iterator[None]:
        """Note that we pull something of a peer while this lasts."""
        self._next += 1
        number = self._next
        self._coming[number] = (peer_id, wanted, trio.current_time())
        try:
            yield
        finally:
            del self._coming[number]

    def gave(self, peer_id: str, name: bytes, size: int, moved: int) -> None:
        """Note that a peer has taken so many bytes more of an object of `size` bytes."""
        leaving = self._leaving.setdefault((peer_id, name), _Leaving(size))
        leaving.moved += moved
        leaving.last = trio.current_time()
        while len(self._leaving) > MOST_LEAVING:
            self._leaving.popitem(last=False)

    def has(self, peer_id: str, name: bytes) -> None:
        """Note that a peer has all of an object that it wants."""
        self._leaving.pop((peer_id, name), None)

    def statistics(self) -> tuple[TransferStatistics, ...]:
        """Say what is on its way at this moment."""
        now = trio.current_time()
        for key, gone in list(self._leaving.items()):
            if now - gone.last >= FORGOTTEN:
                del self._leaving[key]
        coming = (
            TransferStatistics(
                peer_id=peer_id, outward=False, size=wanted.size, moved=wanted.received, seconds=now - began
            )
            for peer_id, wanted, began in self._coming.values()
        )
        leaving = (
            TransferStatistics(
                peer_id=peer_id,
                outward=True,
                size=gone.size,
                # A piece that was asked for twice is not more than the whole.
                moved=min(gone.moved, gone.size),
                seconds=now - gone.began,
            )
            for (peer_id, _), gone in self._leaving.items()
        )
        return (*coming, *leaving)
