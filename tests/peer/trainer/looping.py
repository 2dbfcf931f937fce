"""Training loops on threads of their own; the test plays the daemon."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from peer.codec.registry import get
from peer.trainer import spool
from peer.trainer.checkpoints import Checkpoints
from peer.trainer.link import Link
from peer.trainer.loop import Loop
from protocol.manifest import Manifest
from protocol.trainer import Share, Theirs
from tests.peer.trainer.daemon import Daemon
from tests.peer.trainer.tiny import replica, run_id


class Trainer:
    """A loop on its own thread, and the daemon's end of its link."""

    def __init__(self, folder, run: Manifest, stop_at: int | None) -> None:
        ours, theirs = socket.socketpair()
        self.daemon, self.spool, self.home = Daemon(theirs), folder / "spool", folder / "checkpoints"
        self.spool.mkdir()
        self.replica = replica(run)
        self._link = Link(ours)
        saving = Checkpoints(self.replica, self.home, run_id(run))
        self._loop = Loop(self._link, run, self.replica, saving, self.spool, stop_at)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._loop.run()
        finally:
            self._link.close()

    @property
    def meter(self):
        return self._loop._meter

    def join(self) -> None:
        self._thread.join()
        self.daemon.close()

    def theirs(self, share: Share, values: torch.Tensor, name: str = "theirs") -> Theirs:
        spool.write(self.spool / name, get("fp32"), (values,))
        return Theirs(share=share.share, file=name, codec="fp32", tokens=share.tokens, standing=64)

    def own(self, share: Share) -> torch.Tensor:
        values = torch.empty_like(self.replica.theta)
        assert share.body is not None
        spool.read(self.spool / share.body.file, get("fp32"), (values,))
        return values


def said(messages, kind):
    return [message for message in messages if isinstance(message, kind)]


@contextmanager
def trainers(folder: Path) -> Iterator[Callable[..., Trainer]]:
    """Lend what starts one, and at the end wait until it has ended."""
    started: list[Trainer] = []

    def make(run: Manifest, stop_at: int | None = None) -> Trainer:
        started.append(Trainer(folder, run, stop_at))
        return started[-1]

    yield make
    for trainer in started:
        trainer.join()
