"""What is said of what a peer uses, and that it is said once."""

import io
import os
import threading

import msgspec
import pytest
from msgspec.structs import replace

from peer.daemon import disk, using
from peer.daemon.trained_on import remember_device
from peer.daemon.using import say_once, uses, will_use
from peer.governor.limits import parse
from peer.governor.sensors.find import Device
from peer.plan.shape import memory
from peer.plan.traffic import month_bytes
from peer.telemetry.event_file import EventFile
from peer.telemetry.log import Log
from protocol.foreign import Lora
from protocol.gpu import Gpu
from protocol.manifest import Manifest
from protocol.sizes import parameters, state_bytes
from protocol.trainer import Ready
from tests.peer.telemetry.test_events import USES
from tests.protocol.test_foreign import BASE

GPU = Gpu(index=0, name="RTX 4090", memory=24 * 10**9, vendor="nvidia", address="", uuid="")
ON_GPU = Ready(
    device="cuda:0", parameters=1, inner_step=0, outer_step=0, tokens=0, resumed=False, gpus=(GPU,),
    name="RTX 4090", memory=24 * 10**9,
)  # fmt: skip
ON_CPU = replace(ON_GPU, device="cpu", gpus=(), name="Xeon", memory=64 * 10**9)
MANIFEST = Manifest(founder=bytes(32))
RECKONED = int(memory(parameters(MANIFEST)))


def before(home, device="auto", joins=False, manifest=MANIFEST, **limits):
    return will_use(home, manifest, device, parse(limits), joins=joins)


async def told(ready=ON_GPU, micro_batch=2, trainer=None, pace=0.5):
    return await uses(MANIFEST, ready, batch=4, micro_batch=micro_batch, peers=1, pace=pace, trainer=trainer)


def test_before_it_begins_it_tells_what_the_run_and_the_limits_tell(tmp_path):
    found = before(tmp_path, upload="10Mbit")
    assert found.memory == RECKONED
    assert found.fetched is None
    assert found.disk_free > 0
    assert found.disk_needed == disk.most(MANIFEST)
    assert found.caps == ("10 Mbit/s up",)
    assert found.pauses == ("on battery", "while others use the GPU, if it trains on one")


def test_a_newcomer_is_told_what_it_will_fetch(tmp_path):
    assert before(tmp_path, joins=True).fetched == state_bytes(MANIFEST)


def test_beside_adapters_lies_the_model_that_they_adapt(tmp_path):
    adapted, whole = (
        replace(MANIFEST, model=replace(MANIFEST.model, pretrained=replace(BASE, lora=lora)))
        for lora in (Lora(), None)
    )
    more = before(tmp_path, manifest=adapted).memory - before(tmp_path, manifest=whole).memory
    assert more == BASE.size


@pytest.mark.parametrize("device", ["cpu", "cpu,cpu"])
def test_of_a_processor_nobody_says_that_others_use_the_gpu(tmp_path, device):
    assert before(tmp_path, device).pauses == ("on battery",)


def test_what_this_home_trained_on_last_tells_whether_others_use_the_gpu(tmp_path):
    for kind, told in (("cpu", ("on battery",)), ("cuda", ("on battery", "while others use the GPU"))):
        remember_device(tmp_path, "auto", Device(kind))
        assert before(tmp_path).pauses == told
    assert before(tmp_path / "new", "mps").pauses == told


@pytest.mark.parametrize(
    "ready", [ON_GPU, ON_CPU, replace(ON_GPU, device="mps", gpus=(), name="Apple M2 GPU")]
)
@pytest.mark.anyio
async def test_every_kind_of_device_is_told_by_its_name_and_with_its_memory(ready):
    found = await told(ready)
    assert (found.device, found.name, found.memory) == (ready.device, ready.name, ready.memory)
    assert (found.batch, found.micro_batch, found.context) == (4, 2, MANIFEST.model.context)


@pytest.mark.anyio
async def test_on_a_processor_the_memory_is_what_the_trainer_has():
    assert (await told()).taken == RECKONED
    assert (await told(ON_CPU)).taken is None
    assert (await told(ON_CPU, trainer=os.getpid())).taken > 10e6


@pytest.mark.anyio
async def test_the_network_does_not_wait_for_a_look_at_all_processes(monkeypatch):
    looked = []
    monkeypatch.setattr(using, "memory_of", lambda pid: looked.append(threading.current_thread()) or 7)
    assert (await told(ON_CPU, trainer=1)).taken == 7
    assert threading.current_thread() not in looked


@pytest.mark.anyio
async def test_traffic_is_that_of_a_swarm_though_this_peer_is_its_first():
    found = await told()
    assert found.month_bytes == month_bytes(MANIFEST, 2, MANIFEST.outer.every * 0.5)


@pytest.mark.anyio
async def test_it_is_said_again_only_when_it_has_changed(tmp_path):
    stream = io.StringIO()
    with EventFile(tmp_path / "events.log") as file:
        log = Log(file, stream, "json")
        again = await told(ON_CPU, trainer=os.getpid(), pace=0.7)
        for event in (await told(), await told(pace=0.7), USES, await told(ON_CPU), again):
            say_once(tmp_path, event, log)
        for event in (before(tmp_path), before(tmp_path, joins=True), before(tmp_path, disk="20GB")):
            say_once(tmp_path, event, log)
        (tmp_path / "settings.json").unlink()
        (tmp_path / "settings.json").mkdir()
        say_once(tmp_path, USES, log)
    said = [msgspec.json.decode(line)["event"] for line in stream.getvalue().splitlines()]
    assert said == ["uses", "uses", "uses", "will_use", "will_use", "uses"]
