"""AMD's GPUs in trees that look like the kernel's."""

import pytest

from peer.governor.readings import GpuUser, Measured
from peer.governor.sensors import amd
from peer.governor.sensors.base import SensorGoneError
from protocol.gpu import Gpu

GPU = Gpu(index=0, name="RX 7900", memory=24, vendor="amd", address="0000:03:00.0", uuid="")
OTHER = Gpu(index=1, name="RX 7900", memory=24, vendor="amd", address="0000:0b:00.0", uuid="")

FDINFO = """pos:\t0
flags:\t02100002
drm-driver:\tamdgpu
drm-client-id:\t{client}
drm-pdev:\t{card}
drm-memory-vram:\t1234 KiB
drm-engine-gfx:\t{gfx} ns
drm-engine-compute:\t{compute} ns
drm-engine-capacity-compute:\t4
"""


class Tree:
    """A root folder with cards and processes."""

    def __init__(self, root):
        self.root = root

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def card(self, gpu, **files):
        for name, text in files.items():
            self.write(f"sys/bus/pci/devices/{gpu.address}/hwmon/hwmon4/{name}", text)

    def opens(
        self, pid, descriptor, *, client=1, card=GPU.address, gfx=0, compute=0, path="/dev/dri/renderD128"
    ):
        self.write(
            f"proc/{pid}/fdinfo/{descriptor}",
            FDINFO.format(client=client, card=card, gfx=gfx, compute=compute),
        )
        link = self.root / f"proc/{pid}/fd/{descriptor}"
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(path)

    def rocm(self, pid, number, held):
        self.write(f"sys/class/kfd/kfd/proc/{pid}/vram_{number}", f"{held}\n")
        self.write(
            "sys/class/kfd/kfd/topology/nodes/0/properties", "cpu_cores_count 8\nlocation_id 0\ndomain 0\n"
        )
        self.write("sys/class/kfd/kfd/topology/nodes/0/gpu_id", "0\n")
        self.write("sys/class/kfd/kfd/topology/nodes/1/properties", f"location_id {3 << 8}\ndomain 0\n")
        self.write("sys/class/kfd/kfd/topology/nodes/1/gpu_id", f"{number}\n")


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setattr(amd, "name_of", lambda pid: {4242: "blender", 8: "Xorg", 9: "ollama"}.get(pid))
    monkeypatch.setattr(amd, "is_ours", lambda pid: pid == 7)
    return Tree(tmp_path)


def test_heat_and_power_are_in_thousandths_and_millionths(tree):
    tree.card(GPU, temp1_input="61000\n", power1_average="287000000\n")
    tree.card(OTHER, temp1_input="84000\n", power1_input="120000000\n")
    told = amd.temperature((GPU, OTHER), tree.root).temperature
    assert told == (Measured("GPU 0", 61, 0), Measured("GPU 1", 84, 1))
    told = amd.power((GPU, OTHER), tree.root).power
    assert told == (Measured("GPU 0", 287, 0), Measured("GPU 1", 120, 1))


@pytest.mark.parametrize("files", [{}, {"temp1_input": "", "power1_average": "n/a"}])
def test_a_card_that_does_not_tell_is_given_up(tree, files):
    tree.card(GPU, **files)
    for read in (amd.temperature, amd.power):
        with pytest.raises(SensorGoneError, match=r"0000:03:00\.0 has no "):
            read((GPU,), tree.root)


def test_others_are_told_by_the_time_that_their_engines_ran(tree):
    clock = iter([10.0, 15.0, 20.0])
    read = amd.Users((GPU,), tree.root, lambda: next(clock))
    tree.opens(4242, 3, gfx=10**9)
    tree.opens(8, 3, client=2, gfx=5)
    assert read().gpu_users.others == ()
    tree.opens(4242, 3, gfx=2 * 10**9, compute=1_500_000_000)
    tree.opens(4242, 4, gfx=2 * 10**9, compute=1_500_000_000)  # a copy: the same client
    tree.opens(4242, 5, client=9, card=OTHER.address, gfx=4 * 10**9)
    tree.opens(4242, 6, client=9, gfx=10**9, path="/home/me/scene")
    assert read().gpu_users.others == (GpuUser(4242, "blender", 0.5),)
    assert read().gpu_users.others == ()


def test_a_process_that_comes_between_two_looks_is_told_at_the_next(tree):
    clock = iter([0.0, 5.0, 10.0])
    read = amd.Users((GPU,), tree.root, lambda: next(clock))
    read()
    tree.opens(4242, 3, gfx=10**12)
    assert read().gpu_users.others == ()
    tree.opens(4242, 3, gfx=10**12 + 5 * 10**9)
    assert read().gpu_users.others == (GpuUser(4242, "blender", 1.0),)


def test_rocm_tells_who_holds_memory(tree):
    tree.rocm(9, 51234, held=4_000_000)
    tree.rocm(7, 51234, held=4_000_000)
    tree.rocm(8, 51234, held=0)
    told = amd.Users((GPU,), tree.root)().gpu_users
    assert (told.gpu, told.others) == ("GPU 0", (GpuUser(9, "ollama", 1.0),))
    assert amd.Users((OTHER,), tree.root)().gpu_users.others == ()


def test_processes_that_we_may_not_look_into_are_passed_over(tree):
    tree.write("proc/1/fd", "not a folder")
    tree.write("proc/2/fdinfo/3", "")
    tree.opens(4242, 3)
    (tree.root / "proc/4242/fdinfo/3").unlink()
    assert amd.Users((GPU,), tree.root)().gpu_users.others == ()
