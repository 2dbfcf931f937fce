"""`python -m tests.peer.trainer.ranks.hanging FOLDER`: rank 0 with a follower that never does anything."""

import logging
import signal
import sys
import threading

from peer.trainer.ranks import followers, patience
from protocol.trainer import Begin
from tests.peer.trainer.tiny import manifest


def hang(index, order):
    signal.pause()


def main(folder):
    patience.LOOK, patience.AT_FIRST = 0.01, 0.05
    followers.follow = hang
    logging.basicConfig()
    begin = Begin(
        manifest=manifest(), peer_id="peer", home=folder, spool=folder, device="cpu,cpu", shard=0,
        stop_at=None, data_paths=(), tokenizer_path=None, weights_path=None, batch=None, state=None,
    )  # fmt: skip
    with followers.Followers.started(begin, 1) as started:
        print(*(process.pid for process in started._context.processes), flush=True)
        with started.patience.waiting():
            threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
