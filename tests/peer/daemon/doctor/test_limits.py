"""What the doctor says of limits."""

import pytest
from msgspec.structs import replace

from peer.daemon.doctor import limits as module
from peer.daemon.doctor.findings import Number
from peer.daemon.doctor.limits import look_at_limits
from peer.daemon.doctor.machine import Seen
from peer.daemon.limits_file import limits_file, write_given
from peer.governor.readings import Readings
from peer.governor.sensors.base import Missing, Sensor
from peer.governor.sensors.processes import own_memory
from peer.plan.shape import trainer_memory
from protocol.foreign import Lora
from protocol.manifest import Manifest
from tests.protocol.test_foreign import BASE

pytestmark = pytest.mark.anyio
MANIFEST = Manifest(founder=bytes(32))
CPU = Seen(device="cpu")


@pytest.fixture(autouse=True)
def sensors(monkeypatch):
    """Put sensors in place of this machine's: a battery where it is told of, and nothing for power."""
    readings = []

    def find(limits, device):
        found = [Sensor("pause_on_battery", "the battery", lambda: readings[-1])] if readings else []
        return found + ([Missing("max_power", "no meter")] if limits.max_power else [])

    monkeypatch.setattr(module, "find", find)
    return readings


async def found(home, seen=CPU, manifest=MANIFEST):
    return [
        (each.number, each.level, each.said, each.mend) for each in await look_at_limits(home, manifest, seen)
    ]


async def test_all_is_well_with_the_limits_in_words(tmp_path):
    write_given(tmp_path, {"disk": "20GB"})
    said = "pauses on battery, while others use the GPU; at most 20.0 GB of disk"
    assert await found(tmp_path) == [(None, "ok", said, "")]


async def test_a_wrong_file_is_a_failure_in_its_own_words(tmp_path):
    limits_file(tmp_path).write_text("disk = 20")
    ((number, level, said, mend),) = await found(tmp_path)
    assert (number, level) == (Number.LIMITS, "failure")
    assert said.endswith("limits.toml:1: disk: '20' is no size")
    assert mend == "Write it like 500GB or 1.5TB"


async def test_a_limit_that_nothing_watches_is_a_failure(tmp_path):
    write_given(tmp_path, {"max_power": 250})
    assert await found(tmp_path) == [
        (
            Number.UNWATCHED,
            "failure",
            "max_power: no meter",
            f"peer limits --home {tmp_path} --max-power none",
        )
    ]


async def test_what_would_pause_now_is_a_note(tmp_path, sensors):
    sensors.append(Readings(on_battery=True))
    ((number, level, said, _),) = await found(tmp_path)
    assert (number, level, said) == (Number.PAUSES, "note", "it would pause now: on battery")


async def test_a_limit_must_have_room_for_what_lies_beneath_adapters_and_for_the_daemon(tmp_path):
    base = replace(BASE, size=10 * 10**9, lora=Lora())
    manifest = replace(MANIFEST, model=replace(MANIFEST.model, pretrained=base))
    needed = trainer_memory(manifest)
    assert needed > base.size
    for over, level in ((10**6, "failure"), (own_memory() + 200e6, "ok")):
        write_given(tmp_path, {"memory": f"{(needed + over) / 1e6:.0f}MB"})
        assert (await found(tmp_path, CPU, manifest))[0][1] == level


@pytest.mark.parametrize(
    ("given", "seen"), [({"disk": "1MB"}, Seen(device="cuda:0")), ({"memory": "1MB"}, CPU)]
)
async def test_what_would_never_train_is_a_failure(tmp_path, given, seen):
    write_given(tmp_path, given)
    ((number, level, *_),) = await found(tmp_path, seen)
    assert (number, level) == (Number.PAUSES, "failure")
    assert (await found(tmp_path, seen, None))[0][1] == "ok", "the run is not known"
