"""What this home trained on last: before the trainer begins nobody else could tell which GPU to look at."""

from contextlib import suppress
from pathlib import Path

import msgspec

from peer.daemon.settings import Remembered, TrainedOn, recall, remember
from peer.errors import HomeError
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
