"""An examination from beginning to end, beside a peer that runs."""

import os
import random
import socket
from contextlib import asynccontextmanager

import pytest
import trio

from peer.daemon.doctor import examine as examine_module
from peer.daemon.doctor.examine import examine
from peer.daemon.doctor.findings import Number
from peer.daemon.doctor.machine import Seen
from peer.daemon.home import Home
from peer.daemon.settings import Remembered, Settings, remember
from peer.governor.readings import Readings
from peer.governor.sensors import machine
from peer.simulate.flock import Record
from peer.simulate.learner import ToyLearner
from peer.swarm.libp2p_host import open_transport
from peer.swarm.objects import ObjectStore
from peer.swarm.swarm import Run, Swarm
from protocol.identity import Identity
from protocol.manifest import Manifest, sign
from tests.peer.daemon.controls import socket_folder

pytestmark = pytest.mark.anyio
LOOPBACK = "/ip4/127.0.0.1/tcp/0"
NOBODY = "/ip4/127.0.0.1/tcp/9/p2p/12D3KooWEfY2TmhEWp1scTkNTgGcB6sBdaeicFJXJjeBmUpFMyg8"


@pytest.fixture(autouse=True)
def _quick_device(monkeypatch):
    async def quick(name):
        return Seen(device="cpu", free=1 << 40)

    monkeypatch.setattr(examine_module, "inspect", quick)
    # Whoever runs this may be on battery.
    monkeypatch.setattr(machine, "battery", lambda **_: Readings(on_battery=False))


@asynccontextmanager
async def _running_peer(folder):
    identity = Identity(bytes(32))
    manifest = Manifest(founder=identity.public_key, codecs=("fp32",))
    toy = ToyLearner(spool=folder, values=[0.0], seconds=60.0, rng=random.Random(0))
    async with open_transport(identity, [LOOPBACK]) as transport, trio.open_nursery() as nursery:
        swarm = Swarm(
            transport, identity, Run(sign(manifest, identity), manifest), toy, ObjectStore(folder), Record()
        )
        nursery.start_soon(swarm.run)
        await swarm.serving.wait()
        yield transport, swarm
        nursery.cancel_scope.cancel()


def _settings(folder, *bootstraps, listen=LOOPBACK):
    return Settings(home=folder / "home", bootstraps=bootstraps, listen=(listen,), upnp=False)


async def test_a_healthy_peer_beside_a_running_one(tmp_path):
    async with _running_peer(tmp_path) as (transport, swarm):
        report = await examine(_settings(tmp_path, transport.addresses[0]))
        by_check = {finding.check: finding for finding in report.findings}
        assert list(by_check) == [
            "clock", "disk", "device", "limits", "port", "manifest", "dial-back", "nat", "bandwidth", "dht",
        ]  # fmt: skip
        assert report.healthy
        assert {finding.level for finding in report.findings} == {"ok"}
        assert "reach this peer at /ip4/127.0.0.1/tcp/" in by_check["dial-back"].said
        # The visit has left no trace: nobody was met, nothing was made.
        assert not swarm.view.known()
        assert not (tmp_path / "home").exists()


async def test_a_bootstrap_that_is_not_there(tmp_path):
    report = await examine(_settings(tmp_path, NOBODY))
    (finding,) = (each for each in report.findings if each.check == "manifest")
    assert finding.number == Number.NO_BOOTSTRAP
    assert not report.healthy


async def test_without_a_bootstrap_this_machine_is_looked_at(tmp_path):
    report = await examine(_settings(tmp_path))
    assert report.healthy
    assert [finding.number for finding in report.findings] == [None] * 4 + [Number.NO_BOOTSTRAP]


async def test_a_port_that_somebody_has(tmp_path):
    with trio.socket.socket() as holder:
        await holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        taken = f"/ip4/127.0.0.1/tcp/{holder.getsockname()[1]}"
        report = await examine(_settings(tmp_path, NOBODY, listen=taken))
    (unseen,) = (finding for finding in report.findings if finding.number == Number.NO_BOOTSTRAP)
    assert unseen.said == "no bootstrap was looked at, as the port cannot be used"
    assert Number.PORT in {finding.number for finding in report.findings}
    assert not report.healthy


async def test_the_port_of_the_homes_own_daemon_is_no_failure(tmp_path):
    with trio.socket.socket() as holder, socket_folder() as folder, Home.open(tmp_path / "home") as home:
        await holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        port = holder.getsockname()[1]
        remember(home.path, Remembered(port=port))
        (home.path / "runtime").write_bytes(os.fsencode(folder))
        settings = _settings(tmp_path, listen=f"/ip4/127.0.0.1/tcp/{port}")
        killed = await examine(settings)
        with socket.socket(socket.AF_UNIX) as control:
            control.bind(str(folder / "control.sock"))
            control.listen(1)
            runs = await examine(settings)
    for report, level in ((killed, "failure"), (runs, "note")):
        assert [each.level for each in report.findings if each.number == Number.PORT] == [level]


async def test_a_home_with_a_damaged_manifest(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "manifest").write_bytes(b"nonsense")
    report = await examine(_settings(tmp_path))
    assert Number.HOME in {finding.number for finding in report.findings}
