"""A trainer that fetches rows or a base model by itself tells the daemon how much, and keeps to its limit."""

from collections.abc import Iterator
from contextlib import contextmanager

from peer.trainer.hf.intake import Intake, metered
from peer.trainer.link import Link
from protocol.fetching import Fetched
from protocol.manifest import Manifest
from protocol.trainer import Begin


@contextmanager
def fetching(link: Link, begin: Begin) -> Iterator[None]:
    """Count what comes for this run from elsewhere, and hold it to the rate that the daemon allows."""
    if not fetches(begin.manifest):
        yield
        return
    intake = Intake(lambda size: link.send(Fetched(size=size)), begin.download)
    link.hear_rate(intake.change)
    with metered(intake):
        yield


def fetches(manifest: Manifest) -> bool:
    """Whether something of the run may come from the Hub. Nobody knows that of a plug-in's task."""
    streamed = any(part.dataset for part in manifest.data.parts)
    return streamed or bool(manifest.model.pretrained) or bool(manifest.task)
