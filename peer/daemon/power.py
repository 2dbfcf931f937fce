"""What a home's device draws just now: energy is told only where a sensor tells power."""

from pathlib import Path

from peer.daemon.settings import recall
from peer.governor.limits import Limits
from peer.governor.per_gpu import PerGpu
from peer.governor.sensors.base import Missing, SensorGoneError
from peer.governor.sensors.find import Device, find

ANY_POWER = Limits(pause_for_others=False, pause_on_battery=False, max_power=PerGpu(1.0))
"""Needs the sensor of power, and no other."""


def read_power(home: Path) -> float:
    """Return the watts of the GPU that the home trained on last, or of all of them together.

    Raises:
        SensorGoneError: nothing tells; the message says why.
    """
    last = recall(home).trained_on
    if last is None or not last.kind:
        raise SensorGoneError("it is not known what was trained on")
    (found,) = find(ANY_POWER, Device(last.kind, last.gpus))
    if isinstance(found, Missing):
        raise SensorGoneError(found.reason)
    try:
        each = found.read().power
    except SensorGoneError:
        raise
    except Exception as error:
        # Whatever a driver's library may raise.
        raise SensorGoneError(f"{found.what}: {str(error) or type(error).__name__}") from error
    if not each:
        raise SensorGoneError(f"nothing tells {found.what}")
    return sum(one.value for one in each)
