"""`python -m peer.trainer.ranks FOLDER PID`: one rank, which only the `torchrun` of this PID starts."""

import os
import sys

from peer.trainer.ranks import ends


def main() -> int:
    """Watch for the end, and only then load torch, which takes seconds and starts threads; then train."""
    folder, torchrun = sys.argv[1:]
    ends.watch(int(torchrun), int(os.environ["LOCAL_WORLD_SIZE"]))
    from peer.trainer.ranks.rank import train

    return train(folder)


if __name__ == "__main__":
    sys.exit(main())
