"""The stand-in for fastecdsa answers libp2p's requirement, and noise works without the real one."""

import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

STAND_IN = Path(__file__).parents[2] / "deploy" / "fastecdsa"

ECHO = """
import fastecdsa
import trio
from libp2p import generate_new_ed25519_identity, new_host
from libp2p.crypto.x25519 import create_new_key_pair
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.security.noise.transport import PROTOCOL_ID, Transport
from multiaddr import Multiaddr

LOOPBACK = [Multiaddr("/ip4/127.0.0.1/tcp/0")]


def host():
    identity = generate_new_ed25519_identity()
    noise = Transport(identity, noise_privkey=create_new_key_pair().private_key)
    return new_host(key_pair=identity, sec_opt={PROTOCOL_ID: noise}, listen_addrs=LOOPBACK)


async def echo(stream):
    await stream.write(await stream.read(5))


async def main():
    one, other = host(), host()
    with trio.fail_after(30):
        async with one.run(listen_addrs=LOOPBACK), other.run(listen_addrs=LOOPBACK):
            one.set_stream_handler("/echo/1", echo)
            await other.connect(info_from_p2p_addr(one.get_addrs()[0]))
            stream = await other.new_stream(one.get_id(), ["/echo/1"])
            await stream.write(b"hello")
            print(fastecdsa.__file__, (await stream.read(5)).decode())


trio.run(main)
"""

P256 = """
from libp2p.crypto.ecc import create_new_key_pair

create_new_key_pair("P-256")
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    """Run `script` in a new interpreter where the stand-in comes before an installed fastecdsa."""
    environment = os.environ | {"PYTHONPATH": str(STAND_IN)}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def importers(pattern: str) -> set[str]:
    """Return the modules of the installed libp2p, as paths, that import what `pattern` matches."""
    spec = importlib.util.find_spec("libp2p")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    statement = re.compile(rf"^\s*(from|import) ({pattern})\b", re.MULTILINE)
    sources = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
    return {name for name, path in sources.items() if statement.search(path.read_text("utf-8"))}


def test_its_version_satisfies_libp2p():
    version = tomllib.loads((STAND_IN / "pyproject.toml").read_text())["project"]["version"]
    requirements = map(Requirement, importlib.metadata.requires("libp2p") or [])
    wanted = next(each for each in requirements if each.name == "fastecdsa")
    assert wanted.specifier.contains(version)


def test_only_secio_reaches_it():
    assert importers("fastecdsa") == {"crypto/ecc.py", "crypto/key_exchange.py"}
    assert importers(r"libp2p\.crypto\.(ecc|key_exchange)") == {
        "crypto/key_exchange.py",
        "security/secio/transport.py",
    }


def test_two_hosts_talk_over_noise():
    result = run(ECHO)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [str(STAND_IN / "fastecdsa" / "__init__.py"), "hello"]


def test_p256_is_refused_by_name():
    result = run(P256)
    assert result.returncode == 1
    assert "stand-in for fastecdsa has no P256" in result.stderr
