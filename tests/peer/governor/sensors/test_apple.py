"""Apple's GPU, by an `ioreg` that answers as macOS does."""

import pytest

from peer.governor.readings import GpuUser, GpuUsers
from peer.governor.sensors import apple
from peer.governor.sensors.apple import GPU, REGISTRY, Users
from peer.governor.sensors.base import SensorGoneError

HEAD = """+-o AGXAcceleratorG14X  <class AGXAcceleratorG14X, id 0x10000045b, registered, matched, active>
  | {
  |   "IOClass" = "AGXAcceleratorG14X"
  |   "PerformanceStatistics" = {"In use system memory"=812,"Device Utilization %"=97}
  | }
  |
"""


def client(pid, name, *used):
    usage = ",".join(
        f'{{"API"="Metal","lastSubmittedTime"=102938475,"accumulatedGPUTime"={each}}}' for each in used
    )
    return f"""  +-o AGXDeviceUserClient  <class AGXDeviceUserClient, id 0x1000012ab, !registered, active>
  |   {{
  |     "IOUserClientCreator" = "pid {pid}, {name}"
  |     "AppUsage" = ({usage})
  |     "CommandQueueCount" = 1
  |   }}
  |
"""


@pytest.fixture
def mac(tmp_path, monkeypatch):
    """A Mac whose `ioreg` says what it is told to say, and whose clock goes on by five seconds a look."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(apple, "name_of", {4242: "blender"}.get)
    monkeypatch.setattr(apple, "is_ours", lambda pid: pid == 7)
    clock = iter(range(100, 1000, 5))
    users = Users(lambda: next(clock))

    def look(*clients, code=0):
        (tmp_path / "said").write_text("".join((HEAD, *clients)))
        file = tmp_path / "ioreg"
        asked = " ".join(REGISTRY[1:])
        file.write_text(f'#!/bin/sh\n[ "$*" = "{asked}" ] || exit 9\ncat {tmp_path / "said"}\nexit {code}\n')
        file.chmod(0o755)
        return users().gpu_users

    return look


def test_others_are_told_by_the_time_that_they_took_since_the_last_look(mac):
    ours, window_server = client(7, "python3.11", 5_000_000_000), client(151, "WindowServer", 90)
    blender = client(4242, "Blender", 10**9, 0)
    assert mac(ours, window_server, blender, client(151, "WindowServer", 10)) == GpuUsers(GPU, ())
    told = mac(
        client(7, "python3.11", 9_900_000_000),
        client(151, "WindowServer", 90),
        client(4242, "Blender", 2 * 10**9, 10**9),
        client(151, "WindowServer", 100_000_010),
        client(99, "Safari", 3 * 10**9),
    )
    assert told == GpuUsers(GPU, (GpuUser(151, "WindowServer", 0.02), GpuUser(4242, "blender", 0.4)))
    assert mac(client(4242, "Blender", 2 * 10**9, 10**9)) == GpuUsers(GPU, ())


def test_what_a_process_has_given_back_is_no_use(mac):
    mac(client(4242, "Blender", 10**9), client(4242, "Blender", 10**9))
    assert mac(client(4242, "Blender", 10**9)) == GpuUsers(GPU, ())


def test_a_macos_that_does_not_tell_is_given_up_and_a_silent_one_asked_again(mac):
    with pytest.raises(OSError, match="does not answer"):
        mac(client(4242, "Blender", 1), code=1)
    with pytest.raises(SensorGoneError, match="accumulatedGPUTime"):
        mac(client(4242, "Blender"))
    assert mac(client(4242, "Blender", 1)) == GpuUsers(GPU, ())
