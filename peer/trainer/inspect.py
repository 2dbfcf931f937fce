"""`python -m peer.trainer.inspect DEVICE`: what the trainer would have to work with, as a JSON object.

A process of its own, as the daemon never loads torch.
"""

import json
import os
import sys

import msgspec
import torch

from peer.errors import PeerError
from peer.trainer.device import choose, gpus_of


def inspect(name: str) -> dict[str, object]:
    """Return the device that `name` means and its free bytes of memory; None where that cannot be told.

    Raises:
        DeviceError: there is no such device here.
    """
    device = choose(name)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        gpus = msgspec.to_builtins(gpus_of(device))
        return {"device": str(device), "name": torch.cuda.get_device_name(device), "free": free, "gpus": gpus}
    return {"device": str(device), "name": "", "free": _free_memory()}


def _free_memory() -> int | None:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


if __name__ == "__main__":
    try:
        print(json.dumps(inspect(sys.argv[1])))
    except PeerError as error:
        print(json.dumps({"error": error.message, "remedy": error.remedy}))
