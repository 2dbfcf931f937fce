"""What this home trained on last: before the trainer begins nobody else could tell which GPU to look at."""

import re
from contextlib import suppress
from pathlib import Path

import msgspec

from peer.daemon.doctor.machine import inspect
from peer.daemon.settings import Remembered, TrainedOn, recall, remember
from peer.errors import DeviceError, HomeError
from peer.governor.sensors.find import Device


def recalled(remembered: Remembered, asked: str) -> Device:
    """Return the device of last time, if the same was asked for; otherwise one of which nothing is known."""
    last = remembered.trained_on
    return Device(last.kind, last.gpus) if last is not None and last.asked == asked else Device()


def remember_device(home: Path, asked: str, device: Device) -> None:
    """Write it down. A disk that refuses costs the memory of it, and no more."""
    trained_on = TrainedOn(asked=asked, kind=device.kind, gpus=device.gpus)
    known = recall(home)
    if known.trained_on != trained_on:
        with suppress(HomeError):
            remember(home, msgspec.structs.replace(known, trained_on=trained_on))


async def check_device(home: Path, asked: str) -> None:
    """See that the device is here, before a run is founded or fetched for it.

    Torch, which alone can tell, takes seconds to load. So it is asked only of what may be missing, and only
    where this home has not trained on it: the trainer says the same, later.

    Raises:
        DeviceError: it is not.
    """
    if re.fullmatch("auto|cpu(,cpu)*", asked) or recalled(recall(home), asked).kind:
        return
    seen = await inspect(asked)
    if seen.error:
        raise DeviceError(seen.error, seen.remedy)
