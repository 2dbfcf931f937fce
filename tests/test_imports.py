"""Holds the directions of DESIGN.md section 3: who may import whom."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STANDARD = sys.stdlib_module_names
ALL = {"torch", "trio", "libp2p", "multiaddr"}

FORBIDDEN = {
    # room: what it must not import, by the head of the module's name
    "protocol": {"peer", *ALL},
    "peer/outer": {"protocol", "peer.swarm", "peer.daemon", "peer.trainer", "peer.cli", *ALL} - {"torch"},
    "peer/codec": {"protocol", "peer.swarm", "peer.daemon", "peer.trainer", "peer.cli", *ALL} - {"torch"},
    "peer/trainer": {"trio", "libp2p", "multiaddr", "peer.swarm", "peer.daemon", "peer.cli", "peer.local"},
    "peer/swarm": {
        "torch",
        "peer.trainer",
        "peer.outer",
        "peer.codec",
        "peer.daemon",
        "peer.cli",
        "peer.local",
    },
    "peer/telemetry": {"torch", "libp2p", "multiaddr", "peer.trainer", "peer.daemon", "peer.cli"},
    "peer/config": {"torch", "trio", "libp2p", "multiaddr", "peer.daemon", "peer.swarm", "peer.trainer"},
    "peer/daemon": {"torch", "libp2p", "multiaddr", "peer.cli", "peer.local", "peer.outer", "peer.codec"},
    "peer/simulate": {"torch", "libp2p", "multiaddr", "peer.daemon", "peer.trainer", "peer.cli"},
    "peer/links": {"protocol", "peer.swarm", "peer.daemon", "peer.trainer", "peer.cli", *ALL} - {"trio"},
    "peer/governor": {
        "torch",
        "libp2p",
        "multiaddr",
        "peer.daemon",
        "peer.trainer",
        "peer.cli",
        "peer.local",
    },
    "peer/explain": {"protocol", "peer", *ALL},
    "peer/plan": {"peer.daemon", "peer.trainer", "peer.cli", "peer.local", "peer.outer", *ALL},
    "peer/watch": {"torch", "libp2p", "multiaddr", "peer.swarm", "peer.trainer", "peer.cli"},
    "peer/models": {"trio", "libp2p", "multiaddr", "peer.swarm", "peer.daemon", "peer.cli", "peer.local"},
    "peer/local": {"trio", "libp2p", "multiaddr", "peer.swarm", "peer.cli"},
    "peer/api": {"torch", "trio", "libp2p", "multiaddr", "peer.swarm"},
}
FREE = "peer.codec.formats"
"""What each codec's bytes look like from outside, without torch: whoever bounds them may know it."""
LIBP2P_ROOM = "peer/swarm/libp2p_host"
KNOWS_DAEMON = ("peer/daemon", "peer/cli", "peer/local", "peer/watch", "peer/api")


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def _hits(names: set[str], heads: set[str]) -> set[str]:
    found = {name for name in names for head in heads if name == head or name.startswith(f"{head}.")}
    return {name for name in found if not name.startswith(FREE)}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_only_what_it_may(room):
    files = _files(room)
    assert files, f"{room} is gone: mend this test"
    for path in files:
        forbidden = FORBIDDEN[room]
        if path.is_relative_to(ROOT / LIBP2P_ROOM):
            forbidden = forbidden - {"libp2p", "multiaddr"}
        hits = _hits(_imports(path), forbidden)
        assert not hits, f"{path.relative_to(ROOT)} imports {sorted(hits)}"


def test_only_one_room_imports_libp2p():
    for path in [*_files("peer"), *_files("protocol")]:
        if not path.is_relative_to(ROOT / LIBP2P_ROOM):
            assert not _hits(_imports(path), {"libp2p", "multiaddr"}), path


def test_nothing_knows_the_daemon_but_what_starts_it():
    for path in _files("peer"):
        if not any(path.is_relative_to(ROOT / room) for room in KNOWS_DAEMON):
            assert not _hits(_imports(path), {"peer.daemon"}), path


def test_the_daemon_never_loads_torch_and_the_trainer_never_loads_trio():
    """The rule that matters at run time, over whatever imports what."""
    import subprocess

    for module, absent in [
        ("peer.daemon.supervisor", ("torch", "numpy", "transformers", "datasets", "huggingface_hub")),
        ("peer.trainer.__main__", ("trio", "libp2p")),
        ("peer.cli.main", ("torch", "libp2p", "matplotlib")),
        ("peer.plan.choose", ("torch", "trio", "libp2p")),
        ("peer.models.export, peer.models.report, peer.models.generate", ("trio", "libp2p", "transformers")),
        ("peer", ("torch", "trio", "msgspec")),
        ("peer.api.peer", ("torch", "libp2p")),
        ("peer.trainer.tasks.find, peer.trainer.tasks.task", ("torch", "trio")),
    ]:
        code = f"import sys, {module}; print([name for name in {absent!r} if name in sys.modules])"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
        )
        assert done.stdout.strip() == "[]", f"{module} loads {done.stdout}"


SMALL = [*_files("peer"), *_files("protocol"), *_files("handbook")]


@pytest.mark.parametrize("path", SMALL, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_small(path):
    assert len(path.read_text().splitlines()) <= 500
