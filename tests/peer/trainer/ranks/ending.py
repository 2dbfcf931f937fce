"""`python -m tests.peer.trainer.ranks.ending FOLDER HOW`: rank 0 with a follower that hangs, or fails."""

import logging
import signal
import sys
import threading

from peer.errors import TaskError
from peer.trainer.ranks import follower, followers, patience
from peer.trainer.ranks.follower import follow
from protocol.trainer import Begin
from tests.peer.trainer.tiny import manifest


def hang(index, order):
    signal.pause()


def fail(index, order):
    follower._follow = _fail
    follow(index, order)


def _fail(rank, order):
    raise TaskError(f"loss() fails in rank {rank}", "Mend the plug-in")


def main(folder, how):
    if how == "hang":
        patience.LOOK, patience.AT_FIRST = 0.01, 0.05
    followers.follow = {"hang": hang, "fail": fail}[how]
    logging.basicConfig()
    begin = Begin(
        manifest=manifest(), peer_id="peer", home=folder, spool=folder, device="cpu,cpu", shard=0,
        stop_at=None, data_paths=(), tokenizer_path=None, weights_path=None, batch=None, state=None,
    )  # fmt: skip
    with followers.Followers.started(begin, 1, tell) as started:
        print(*(process.pid for process in started._context.processes), flush=True)
        with started.patience.waiting():
            threading.Event().wait()


def tell(failed):
    print(failed.code, failed.message, failed.remedy, sep="|", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
