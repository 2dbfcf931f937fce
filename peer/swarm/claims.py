"""Who fetches which chunk: each is fetched once, but the last ones, for which a second donor is tried."""

from collections.abc import Collection

MOST_CLAIMS = 2
"""Donors of which one chunk is fetched at once: at the end, the faster of two decides."""


class Claims:
    """The chunks that are being fetched, and of whom.

    Args:
        missing: the chunks that are not here; it is read anew each time.
    """

    def __init__(self, missing: Collection[int]) -> None:
        self._missing = missing
        self._claimed: dict[int, list[str]] = {}
        self._helping: dict[str, int] = {}
        """With which chunk of another's each donor helps: one at a time, for a copy may come for nothing."""

    def take(self, donor: str) -> int | None:
        """Return a chunk to fetch of this donor, or None where others are at all that it could help with.

        First the lowest that nobody is at, so that donors take turns and neighbouring chunks are of several.
        Then, lest the slowest donor decide when all is here, one that another donor is at for longest.
        """
        chunk = min((chunk for chunk in self._missing if chunk not in self._claimed), default=None)
        if chunk is None:
            late = (each for each in self._claimed if each in self._missing and self._can_help(each, donor))
            chunk = next(late, None)
            if chunk is not None:
                self._helping[donor] = chunk
        if chunk is not None:
            self._claimed.setdefault(chunk, []).append(donor)
        return chunk

    def release(self, chunk: int, donor: str) -> None:
        """Say that the donor's chunk has come, or will not."""
        donors = self._claimed[chunk]
        donors.remove(donor)
        if self._helping.get(donor) == chunk:
            del self._helping[donor]
        if not donors:
            del self._claimed[chunk]

    def has_work(self, donor: str) -> bool:
        """Whether `take` would give this donor something."""
        return any(chunk not in self._claimed or self._can_help(chunk, donor) for chunk in self._missing)

    def _can_help(self, chunk: int, donor: str) -> bool:
        donors = self._claimed[chunk]
        return donor not in self._helping and len(donors) < MOST_CLAIMS and donor not in donors
