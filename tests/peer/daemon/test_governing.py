"""The governor over a real home: limits that change, months, rates, and what nothing watches."""

import io
import json
import math
from contextlib import asynccontextmanager

import pytest
import trio
import trio.lowlevel
import trio.testing
from msgspec.structs import replace

from peer.daemon import governing
from peer.daemon.governing import PERIOD, STEP, Governor
from peer.daemon.home import Home
from peer.daemon.limits_file import limits_file, write_given
from peer.daemon.settings import Settings, recall
from peer.errors import LimitsError
from peer.governor.readings import GpuUser, GpuUsers, Measured, Readings
from peer.governor.sensors.base import Missing, Sensor, SensorGoneError
from peer.governor.sensors.find import find
from peer.swarm.line import Line
from peer.swarm.rate import FOR_OTHERS
from peer.telemetry.event_file import EventFile
from peer.telemetry.log import Log
from protocol import trainer as ipc
from protocol.foreign import Lora
from protocol.gpu import Gpu
from protocol.manifest import Manifest
from tests.protocol.test_foreign import BASE

pytestmark = pytest.mark.anyio
MANIFEST = Manifest(founder=bytes(32))

GPU = Gpu(index=0, name="RTX 4090", memory=24, vendor="nvidia", address="0000:01:00.0", uuid="")
READY = ipc.Ready(
    device="cuda:0", parameters=1, inner_step=0, outer_step=0, tokens=0, resumed=False, gpus=(GPU,)
)
BLENDER = "GPU 0 is used by blender (pid 4242)"


class Pausing:
    def __init__(self):
        self.told = []

    def govern(self, pauses):
        self.told.append([pause.reason for pause in pauses])


class World:
    """What sensors say, and a governor that looks at them."""

    def __init__(self, home, file, settings, manifest):
        self.home, self._stream = home, io.StringIO()
        self.readings = Readings()
        self.missing = {}
        self.more = []
        self.devices = []
        self.moved = 0
        self.line, self.pausing = Line(), Pausing()
        log = Log(file, self._stream, "json")
        self.governor = Governor(
            home.path, settings, manifest, self.pausing, self.line, lambda: self.moved, log
        )  # fmt: skip

    def find(self, limits, device):
        self.devices.append(device)
        found = [Sensor("pause_on_battery", "everything", lambda: self.readings), *self.more]
        return found + [Missing(key, why) for key, why in self.missing.items() if getattr(limits, key)]

    @property
    def said(self):
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    async def looks(self, seconds=PERIOD):
        """Let it look again."""
        told = len(self.pausing.told)
        trio.lowlevel.current_clock().jump(seconds)
        while len(self.pausing.told) == told:
            await trio.lowlevel.checkpoint()
        return self.pausing.told[-1]


@pytest.fixture
async def open_world(tmp_path, monkeypatch):
    """Open a world whose governor runs."""

    @asynccontextmanager
    async def open_world(given=None, *, running=True, missing=None, manifest=MANIFEST, **settings):
        write_given(tmp_path / "home", given or {})
        with Home.open(tmp_path / "home") as home, EventFile(home.events) as file:
            worlds = []
            monkeypatch.setattr(governing, "find", lambda *a: worlds[0].find(*a) if worlds else [])
            world = World(home, file, Settings(home=home.path, **settings), manifest)
            worlds.append(world)
            world.missing = missing or {}
            world.governor._apply()
            async with trio.open_nursery() as nursery:
                if running:
                    nursery.start_soon(world.governor.run)
                    await world.governor.looked.wait()
                yield world
                nursery.cancel_scope.cancel()

    return open_world


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock()}


async def test_the_first_look_pauses_before_anything_begins(open_world):
    async with open_world(running=False) as world:
        world.readings = Readings(on_battery=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.governor.run)
            await world.governor.looked.wait()
            assert world.pausing.told == [["on battery"]]
            nursery.cancel_scope.cancel()


async def test_a_pause_begins_and_ends_with_its_reason(open_world):
    async with open_world() as world:
        assert world.pausing.told == [[]]
        world.readings = Readings(gpu_users=GpuUsers("GPU 0", (GpuUser(4242, "blender", 0.9),)))
        assert await world.looks() == []
        assert await world.looks() == [BLENDER]
        world.readings = Readings(gpu_users=GpuUsers("GPU 0", ()))
        assert await world.looks(30) == [BLENDER]
        assert await world.looks(60) == []


async def test_limits_that_change_are_in_force_at_the_next_look_at_once(open_world):
    async with open_world() as world:
        world.readings = Readings(idle=10.0)
        assert await world.looks() == []
        write_given(world.home.path, {"pause_at_keyboard": "5min", "upload": "10Mbit"})
        assert await world.looks() == ["a person is at the keyboard; goes on 5 min after the last key"]
        assert (world.line.upload.rate, world.line.relay.rate) == (1.25e6, 625_000)
        write_given(world.home.path, {})
        assert await world.looks() == []
        assert (world.line.upload.rate, world.line.relay.rate) == (math.inf, FOR_OTHERS)
        assert [told["event"] for told in world.said] == ["limits_changed"] * 2
        assert world.said[0]["limits"][1] == "at most 10 Mbit/s up"


async def test_limits_that_become_wrong_change_nothing_and_are_told_once(open_world):
    async with open_world({"download": "10Mbit"}) as world:
        limits_file(world.home.path).write_text("disk = 20")
        await world.looks()
        await world.looks()
        assert [told["event"] for told in world.said] == ["limits_refused"]
        assert "disk: '20' is no size" in world.said[0]["reason"]
        assert world.line.download.rate == 1.25e6


async def test_of_two_rates_the_lower_holds(open_world):
    async with open_world(
        {"upload": "10Mbit", "download": "10Mbit"}, upload_limit=1e6, download_limit=2e6
    ) as world:
        assert (world.line.upload.rate, world.line.download.rate) == (1e6, 1.25e6)
        assert (world.governor.limits.upload, world.governor.limits.download) == (1e6, 1.25e6)


async def test_a_month_that_is_used_up_pauses_and_is_remembered(open_world):
    async with open_world({"traffic": "1MB"}) as world:
        world.moved = 499_999
        assert await world.looks() == []
        world.moved = 1_000_000
        (reason,) = await world.looks()
        assert reason.startswith("the 1.0 MB of traffic for ")
        assert (world.governor.month.used, world.governor.month.limit) == (1_000_000, 1e6)
        world.moved = 1_000_500
    async with open_world({"traffic": "1MB"}) as world:
        assert world.governor.month.used == 1_000_500
        assert len(world.pausing.told[-1]) == 1
        statistics = world.governor.statistics()
        assert (statistics.month_bytes, statistics.month_limit) == (1_000_500, 1e6)


async def test_a_home_below_its_limit_is_measured_and_one_above_pauses(open_world):
    async with open_world({"disk": "1GB"}) as world:
        assert await world.looks() == []
        assert 0 < world.governor.statistics().home_bytes < 10**9
        write_given(world.home.path, {"disk": "1kB"})
        (reason,) = await world.looks()
        assert reason.startswith("the home and its next checkpoint take ")


async def test_memory_is_reckoned_before_it_is_taken_where_the_weights_will_be_in_it(open_world):
    async with open_world({"memory": "1MB"}, device="cpu") as world:
        (reason,) = world.pausing.told[-1]
        assert reason.startswith("the peer takes ")
    async with open_world({"memory": "1MB"}) as world:
        assert world.pausing.told[-1] == []


async def test_the_model_beneath_adapters_is_reckoned_too(open_world):
    base = replace(BASE, size=100 * 10**9, lora=Lora())
    adapted = replace(MANIFEST, model=replace(MANIFEST.model, pretrained=base))
    async with open_world({"memory": "50GB"}, device="cpu", manifest=adapted) as world:
        (reason,) = world.pausing.told[-1]
        assert reason.startswith("the peer takes 10")


async def test_the_daemons_own_memory_is_no_part_of_the_trainers(open_world, monkeypatch):
    monkeypatch.setattr(governing, "own_memory", lambda: STEP + 1)
    async with open_world({"memory": "1GB"}) as world:
        assert world.governor.for_trainer == 1e9 - 2 * STEP
    async with open_world({"memory": "1MB"}) as world:
        assert world.governor.for_trainer == 0
    async with open_world() as world:
        assert world.governor.for_trainer is None


async def test_the_device_is_learned_of_the_trainer_and_known_at_the_next_start(open_world, tmp_path):
    async with open_world() as world:
        assert world.devices[-1].kind == ""
        world.governor.heard(READY)
        assert (world.devices[-1].kind, world.devices[-1].gpus) == ("cuda", (GPU,))
        await world.looks()
    assert recall(tmp_path / "home").trained_on.gpus == (GPU,)
    async with open_world() as world:
        assert world.devices[-1].gpus == (GPU,)
    async with open_world(device="cpu") as world:
        assert world.devices[-1].kind == ""


async def test_a_limit_that_a_person_set_and_nothing_watches_ends_the_start(open_world, tmp_path):
    missing = {"max_power": "nothing here tells the power draw of GPU 0"}
    with pytest.RaisesGroup(LimitsError, flatten_subgroups=True) as caught:
        async with open_world({"max_power": 250}, missing=missing) as world:
            assert len(world.said) == 1, "the device is not known yet"
            world.governor.heard(READY)
    (error,) = caught.value.exceptions
    assert str(error) == (
        "max_power cannot be kept: nothing here tells the power draw of GPU 0. "
        f"Take it back: peer limits --home {tmp_path / 'home'} --max-power none"
    )


async def test_one_that_no_device_is_needed_for_ends_it_at_the_first_look(open_world):
    with pytest.raises(LimitsError, match=r"peer limits --home .* --pause-at-keyboard none"):
        async with open_world({"pause_at_keyboard": "5min"}, missing={"pause_at_keyboard": "no terminal"}):
            pass


async def test_a_usual_limit_and_one_that_is_set_later_are_told_and_train_on(open_world):
    missing = {"pause_for_others": "nothing here tells", "max_power": "no meter"}
    async with open_world(missing=missing) as world:
        world.governor.heard(READY)
        await world.looks()
        write_given(world.home.path, {"max_power": 250})
        assert await world.looks() == []
        assert world.governor.unwatched == ("pause_for_others: nothing here tells", "max_power: no meter")
        assert world.governor.statistics().unwatched == 2
        unwatched = [told["limit"] for told in world.said if told["event"] == "unwatched"]
        assert unwatched == ["pause_for_others", "max_power"]
        write_given(world.home.path, {"pause_for_others": False})
        await world.looks()
        assert world.governor.unwatched == ()


def learning(world, read):
    """Let the trainer tell of its device while sensors are read; a sensor of that is there from then on."""

    def learn():
        world.more = [Sensor("max_power", "the power draw", read)]
        world.governor.heard(READY)

    def tell():
        trio.from_thread.run_sync(learn)
        return Readings()

    world.more = [Sensor("pause_for_others", "the others", tell)]
    world.governor._apply()


async def test_a_device_that_is_learned_during_a_look_is_looked_at_before_the_start_is_over(open_world):
    def no_meter():
        raise SensorGoneError("no meter")

    refused = pytest.RaisesExc(LimitsError, match="max_power cannot be kept: .*no meter")
    with pytest.RaisesGroup(refused, flatten_subgroups=True):
        async with open_world({"max_power": 250}, running=False) as world:
            learning(world, no_meter)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.governor.run)


async def test_the_first_look_at_a_device_that_is_learned_during_another_counts_at_once(open_world):
    async with open_world({"max_power": 250}, running=False) as world:
        learning(world, lambda: Readings(gpu_users=GpuUsers("GPU 0", (GpuUser(4242, "blender", 0.9),))))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.governor.run)
            while len(world.pausing.told) < 2:
                await trio.lowlevel.checkpoint()
            assert world.pausing.told == [[], [BLENDER]]
            nursery.cancel_scope.cancel()


async def test_what_is_watched_once_the_device_is_known_is_unwatched_no_more(open_world):
    async with open_world(missing={"pause_for_others": "no driver yet"}) as world:
        assert world.governor.unwatched == ("pause_for_others: no driver yet",)
        world.missing = {}
        world.more = [Sensor("pause_for_others", "the others", Readings)]
        world.governor.heard(READY)
        assert world.governor.unwatched == ()
        await world.looks()
        assert world.governor.unwatched == ()


QUIET = {"pause_on_battery": False, "pause_for_others": False}
ASTRAY = "it names no GPU that this peer trains on"


@pytest.mark.parametrize(
    ("key", "value"), [("max_temperature", "1=80"), ("max_power", "1=250"), ("gpu_memory", "1=80%")]
)
async def test_a_limit_of_another_gpu_ends_the_start(open_world, key, value):
    refused = pytest.RaisesExc(LimitsError, match=f"{key} cannot be kept: {ASTRAY}")
    with pytest.RaisesGroup(refused, flatten_subgroups=True):
        async with open_world(QUIET | {key: value}) as world:
            world.find = find
            world.governor.heard(READY)


async def test_a_limit_of_another_gpu_that_is_set_later_is_told_until_it_names_ours(open_world):
    async with open_world(QUIET) as world:
        world.find = find
        world.governor.heard(READY)
        await world.looks()
        write_given(world.home.path, QUIET | {"max_temperature": "1=80", "gpu_memory": "1=80%"})
        await world.looks()
        assert world.governor.unwatched == (f"max_temperature: {ASTRAY}", f"gpu_memory: {ASTRAY}")

        hot = Readings(temperature=(Measured("GPU 0", 99, 0),))
        world.find = lambda *_: [Sensor("max_temperature", "the temperature of GPU 0", lambda: hot)]
        write_given(world.home.path, QUIET | {"max_temperature": "0=80", "gpu_memory": "0=80%"})
        assert await world.looks() == ["GPU 0 is at 99 °C, over the limit of 80 °C"]
        assert world.governor.unwatched == ()
