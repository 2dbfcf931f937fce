"""`python -m peer.trainer.inspect DEVICE`: what the trainer would have to work with, as a JSON object.

A process of its own, as the daemon never loads torch.
"""

import json
import sys

import msgspec

from peer.errors import PeerError
from peer.trainer import room
from peer.trainer.device import choose_all, gpus_of, unused
from peer.trainer.hardware import all_called


def inspect(names: str) -> dict[str, object]:
    """Return the devices that are meant, the fewest bytes that are free in one, and what stays unused.

    Raises:
        DeviceError: there is no such device here.
    """
    devices = choose_all(names)
    free = [known for each in devices if (known := room.free(each)) is not None]
    return {
        "device": ",".join(map(str, devices)),
        "name": all_called(devices),
        "free": min(free, default=None),
        "gpus": msgspec.to_builtins(gpus_of(devices)),
        "unused": unused(names, devices),
    }


if __name__ == "__main__":
    try:
        print(json.dumps(inspect(sys.argv[1])))
    except PeerError as error:
        print(json.dumps({"error": error.message, "remedy": error.remedy}))
