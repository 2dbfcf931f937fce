"""Cuts news of voters into messages."""

from collections.abc import Iterable, Iterator

from protocol.codec import encode
from protocol.ledger_calls import MAX_NEWS
from protocol.limits import MAX_MESSAGE
from protocol.pages import News

BUDGET = MAX_MESSAGE - 16 * 1024
"""Bytes of news in one message; the rest is for its envelope."""


def batches(news: Iterable[News]) -> Iterator[tuple[News, ...]]:
    """Yield as much as one message takes at a time."""
    batch: list[News] = []
    size = 0
    for each in news:
        more = len(encode(each))
        if batch and (size + more > BUDGET or len(batch) == MAX_NEWS):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(each)
        size += more
    if batch:
        yield tuple(batch)
