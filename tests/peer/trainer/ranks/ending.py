"""`python -m tests.peer.trainer.ranks.ending --socket FD`: a trainer whose rank 1 does what $HOW says."""

import os
import signal
import sys
from pathlib import Path

import peer.trainer.__main__ as trainer
import peer.trainer.ranks.__main__ as one_rank
from peer.errors import TaskError
from peer.trainer.ranks import follower, patience, torchrun


def hang(rank, begin, folder):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with (Path(begin.home) / "pids").open("w") as pids:
        print(os.getpid(), os.getppid(), file=pids)
    while True:
        signal.pause()


def fail(rank, begin, folder):
    raise TaskError(f"loss() fails in rank {rank}", "Mend the plug-in")


def starve(rank, begin, folder):
    os.kill(os.getpid(), signal.SIGKILL)


def main():
    if "RANK" not in os.environ:
        torchrun.RANK = "tests.peer.trainer.ranks.ending"
        return trainer.main()
    how = os.environ["HOW"]
    follower._follow = {"hang": hang, "wait": hang, "fail": fail, "starve": starve}[how]
    if how == "hang":
        patience.LOOK, patience.AT_FIRST = 0.01, 0.05
    return one_rank.main()


if __name__ == "__main__":
    sys.exit(main())
