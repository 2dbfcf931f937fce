"""Files of the kernel, as they lie under /proc and /sys of a machine and of a container."""

from pathlib import Path

import pytest

from peer.trainer import host_memory
from tests.peer.trainer.tiny import write_file

GIB = 1 << 30


@pytest.fixture
def root(tmp_path):
    write_file(tmp_path, "proc/meminfo", f"MemTotal: 99 kB\nMemAvailable:   {8 * GIB // 1024} kB\n")
    write_file(tmp_path, "proc/self/cgroup", "9:memory:/old\n0::/peers/one\n")
    return tmp_path


def group(root, path, limit, used, cached=0):
    folder = root / "sys/fs/cgroup" / path
    write_file(folder, "memory.max", f"{limit}\n")
    write_file(folder, "memory.current", f"{used}\n")
    write_file(folder, "memory.stat", f"anon 5\ninactive_file {cached}\n")


def test_a_machine_without_limits(root):
    assert host_memory.available(root) == 8 * GIB
    group(root, "peers/one", "max", GIB)
    assert host_memory.available(root) == 8 * GIB


def test_the_narrowest_group_around_us_counts(root):
    group(root, "peers/one", 6 * GIB, GIB)
    assert host_memory.available(root) == 5 * GIB
    group(root, "peers", 3 * GIB, 2 * GIB)
    assert host_memory.available(root) == GIB
    assert host_memory.total(root) == 3 * GIB


def test_files_that_were_read_make_room(root):
    group(root, "peers/one", 4 * GIB, 3 * GIB, cached=2 * GIB)
    assert host_memory.available(root) == 3 * GIB


def test_a_group_over_its_limit_has_no_room(root):
    group(root, "peers/one", GIB, 2 * GIB)
    assert host_memory.available(root) == 0


def test_a_machine_that_does_not_say(tmp_path):
    total = host_memory.total(tmp_path)
    assert total is not None
    assert host_memory.available(tmp_path) == total // 2


def test_the_height_of_some_work_is_measured():
    before = host_memory.in_use()
    sizes = [host_memory.height(lambda n=n: bytearray(n << 20).count(b"1")) - before for n in (96, 32)]
    assert sizes[0] > 80 << 20
    assert sizes[1] < 80 << 20 or not _heights_can_be_reset()


def _heights_can_be_reset() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
