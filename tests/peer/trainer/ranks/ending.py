"""`python -m tests.peer.trainer.ranks.ending --socket FD`: a trainer whose rank 1 does what $HOW says."""

import os
import signal
import sys
from pathlib import Path

from peer.errors import TaskError
from peer.trainer.ranks import __main__ as one_rank
from peer.trainer.ranks import ends


def hang(rank, begin, folder):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with (Path(begin.home) / "pids").open("w") as pids:
        print(os.getpid(), os.getppid(), file=pids)
    if here := os.environ.get("HERE"):
        Path(here).write_text("")  # once rank 0 reads it
    while True:
        signal.pause()


def fail(rank, begin, folder):
    raise TaskError(f"loss() fails in rank {rank}", "Mend the plug-in")


def starve(rank, begin, folder):
    os.kill(os.getpid(), signal.SIGKILL)


def play(how):
    from peer.trainer.ranks import follower, patience

    follower._follow = {"hang": hang, "wait": hang, "fail": fail, "starve": starve}[how]
    if how == "hang":
        if os.environ["RANK"] == "0":
            Path(os.environ["HERE"]).read_text()  # until rank 1 hangs
        patience.LOOK, patience.AT_FIRST = 0.01, 0.05


def main():
    if "RANK" not in os.environ:
        from peer.trainer import __main__ as trainer
        from peer.trainer.ranks import torchrun

        torchrun.RANK = "tests.peer.trainer.ranks.ending"
        return trainer.main()
    # Torch is to be loaded where a rank loads it.
    watch = ends.watch
    ends.watch = lambda torchrun, ranks: (watch(torchrun, ranks), play(os.environ["HOW"]))
    return one_rank.main()


if __name__ == "__main__":
    sys.exit(main())
