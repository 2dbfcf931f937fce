"""The processes of all ranks but 0: their start, their end, and the end of all with any of them.

`torch.multiprocessing` starts them. `torchrun` would do that and two things more: it restarts ranks, which is
the daemon's business here, and it lets hosts find each other, through a store that listens on every interface
and asks nobody who they are.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Self

import torch
from torch.multiprocessing.spawn import spawn

from peer.trainer import spool
from peer.trainer.ranks import failure, patience
from peer.trainer.ranks.follower import Order, follow
from peer.trainer.ranks.patience import Patience
from protocol.trainer import Begin, Failed

LAST_DEADLINE = 2.0
"""Seconds for followers to end once they have been told to."""

GRIEF = 2.0
"""Seconds in which it is seen that a follower has ended, after a step that failed here because of that."""

_log = logging.getLogger(__name__)


class Followers:
    """Processes that end when this one does, and which this one does not outlive.

    Attributes:
        meeting: file where they wait for rank 0.
        patience: is told whenever rank 0 waits for them.
    """

    def __init__(self, begin: Begin, count: int, tell: Callable[[Failed], None]) -> None:
        self._tell = tell
        folder = Path(begin.spool)
        for left_over in folder.glob("ranks-*"):
            left_over.unlink()
        self.meeting = spool.fresh(folder, "ranks")
        order = Order(begin, self.meeting, torch.get_num_threads())
        self._context = spawn(follow, (order,), count, join=False)  # type: ignore[no-untyped-call]
        self.patience = Patience()
        self._ending = False
        self._looking = threading.Lock()
        threading.Thread(target=self._watch, name="followers", daemon=True).start()

    @classmethod
    @contextmanager
    def started(cls, begin: Begin, count: int, tell: Callable[[Failed], None]) -> Iterator[Self]:
        """Have so many followers, each with as many threads of the CPU as there are for one rank.

        `tell` hears what a person can mend, where one ends for that; this process then ends.
        """
        threads = torch.get_num_threads()
        torch.set_num_threads(max(threads // (count + 1), 1))
        followers = cls(begin, count, tell)
        try:
            yield followers
        except RuntimeError:
            # A collective fails where another rank has ended: that is then what there is to tell.
            followers.end_with_any(GRIEF)
            raise
        finally:
            followers.end()
            torch.set_num_threads(threads)

    def may_end(self) -> None:
        """Hear that they are told to end, and will do so within a moment."""
        with self._looking:
            self._ending = True

    def end(self) -> None:
        """See them off, and end those that do not go; at once where nobody has told them to."""
        seconds = LAST_DEADLINE if self._ending else 0.0
        self.may_end()
        for process in self._context.processes:
            process.join(seconds)
            process.kill()
            process.join()
        self.meeting.unlink(missing_ok=True)

    def _watch(self) -> None:
        while not wait(self._context.sentinels, patience.LOOK):
            if self.patience.is_over():
                self._end_as_one_hangs()
        self.end_with_any(0.0)

    def _end_as_one_hangs(self) -> None:
        with self._looking:
            if self._ending:
                return
            _log.error("a rank hangs, as a step that needs them all does not end: all end")
            self._kill()
            os._exit(1)

    def _kill(self) -> None:
        for process in self._context.processes:
            process.kill()
        for process in self._context.processes:
            process.join(LAST_DEADLINE)

    def end_with_any(self, seconds: float) -> None:
        """End this process as a follower did that has ended unasked, or does within so many seconds."""
        with self._looking:
            ended = [] if self._ending else wait(self._context.sentinels, seconds)
            if not ended:
                return
            number = self._context.sentinels[ended[0]]
            process = self._context.processes[number]
            process.join()
            _log.error("rank %d has ended, with exit code %s, and so do all", number + 1, process.exitcode)
            self._kill()
            # Not only of this one: others end as soon as one has.
            if (failed := failure.take(self.meeting, len(self._context.processes))) is not None:
                self._tell(failed)
                os._exit(failed.code)
            if process.exitcode == -signal.SIGKILL:
                # The daemon is to hear what it would hear had this process taken too much memory itself.
                os.kill(os.getpid(), signal.SIGKILL)
            os._exit(1)
