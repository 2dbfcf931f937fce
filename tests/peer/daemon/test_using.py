"""What is said of what a peer uses, and that it is said once."""

import io

from msgspec.structs import replace

from peer.daemon import disk
from peer.daemon.using import say_once, uses
from peer.governor.limits import parse
from peer.plan.traffic import month_bytes
from peer.telemetry.event_file import EventFile
from peer.telemetry.log import Log
from protocol.gpu import Gpu
from protocol.manifest import Manifest
from protocol.trainer import Fitted, Ready
from tests.peer.telemetry.test_events import USES

GPU = Gpu(index=0, name="RTX 4090", memory=24 * 10**9, vendor="nvidia", address="", uuid="")
ON_GPU = Ready(
    device="cuda:0", parameters=1, inner_step=0, outer_step=0, tokens=0, resumed=False, gpus=(GPU,),
    name="RTX 4090",
)  # fmt: skip
ON_CPU = Ready(device="cpu", parameters=1, inner_step=0, outer_step=0, tokens=0, resumed=False)
MANIFEST = Manifest(founder=bytes(32))


FITTED = Fitted(micro_batch=2, batch=4, how="found")


def told(home, ready=ON_GPU, fitted=FITTED, **limits):
    return uses(home, MANIFEST, ready, parse(limits), batch=4, fitted=fitted, peers=1, pace=0.5)


def test_everything_is_told(tmp_path):
    found = told(tmp_path, upload="10Mbit")
    assert (found.device, found.name, found.memory) == ("cuda:0", "RTX 4090", 24 * 10**9)
    assert (found.batch, found.micro_batch, found.context) == (4, 2, MANIFEST.model.context)
    assert found.disk_free > 0
    assert found.disk_needed == disk.most(MANIFEST)
    assert found.caps == ("10 Mbit/s up",)
    assert found.pauses == ("on battery", "while others use the GPU")


def test_of_a_processor_nobody_says_that_others_use_the_gpu(tmp_path):
    found = told(tmp_path, ON_CPU, fitted=None)
    assert (found.name, found.memory, found.pauses) == ("", None, ("on battery",))
    found = told(tmp_path, replace(ON_CPU, device="cpu,cpu", ranks=2))
    assert (found.ranks, found.pauses) == (2, ("on battery",))


def test_traffic_is_that_of_a_swarm_though_this_peer_is_its_first(tmp_path):
    assert told(tmp_path).month_bytes == month_bytes(MANIFEST, 2, MANIFEST.outer.every * 0.5)


def test_it_is_said_again_only_when_it_has_changed(tmp_path):
    stream = io.StringIO()
    with EventFile(tmp_path / "events.log") as file:
        log = Log(file, stream, "json")
        for event in (told(tmp_path), told(tmp_path), USES, told(tmp_path, ON_CPU), told(tmp_path, ON_CPU)):
            say_once(tmp_path, event, log)
        (tmp_path / "settings.json").unlink()
        (tmp_path / "settings.json").mkdir()
        say_once(tmp_path, USES, log)
    assert len(stream.getvalue().splitlines()) == 4
