"""A small internet in network namespaces: public hosts, and homes behind routers of several kinds.

    11.0.0.0/24, a bridge: public hosts from 11.0.0.1 on, routers from 11.0.0.101 on
    192.168.1.0/24, in every home: the router at .1 and one host at .2

Needs root, `ip` and `nft`. Everything is named after the process that made it, and taken down at its end.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Literal, Self

Kind = Literal["port-preserving", "random-port", "forwarded"]
"""What a home's router does: it keeps the port of a connection where that is free; it gives each connection a
random one; as the first, and it leads FORWARDED_PORT to the host."""

FORWARDED_PORT = 4001
PUBLIC = "11.0.0.{}"
ROUTERS_FROM = 101


class Internet:
    """The namespaces of one experiment. Use as a context manager."""

    def __init__(self) -> None:
        self._prefix = f"mm{os.getpid()}"
        self._made: list[str] = []
        self._public = self._homes = 0

    def __enter__(self) -> Self:
        self._exchange = self._namespace("net")
        self._ip(self._exchange, "link", "add", "br0", "type", "bridge")
        self._ip(self._exchange, "link", "set", "br0", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(self._made):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def public(self) -> tuple[list[str], str]:
        """Add a host with a public address; return what runs a command on it, and the address."""
        self._public += 1
        address, name = PUBLIC.format(self._public), self._namespace(f"pub{self._public}")
        self._join(name, f"p{self._public}", address)
        return _inside(name), address

    def home(self, kind: Kind) -> tuple[list[str], str]:
        """Add a host behind a router; return what runs commands there, and its router's address."""
        self._homes += 1
        number, address = self._homes, PUBLIC.format(ROUTERS_FROM + self._homes)
        router, host = self._namespace(f"rt{number}"), self._namespace(f"home{number}")
        self._join(router, f"r{number}", address)
        cable = ("type", "veth", "peer", "name", "eth0", "netns", host)
        _run("ip", "link", "add", "lan", "netns", router, *cable)
        self._ip(router, "addr", "add", "192.168.1.1/24", "dev", "lan")
        self._ip(router, "link", "set", "lan", "up")
        self._ip(host, "addr", "add", "192.168.1.2/24", "dev", "eth0")
        self._ip(host, "link", "set", "eth0", "up")
        self._ip(host, "route", "add", "default", "via", "192.168.1.1")
        _run(*_inside(router), "sysctl", "-qw", "net.ipv4.ip_forward=1")
        for rule in _rules(kind):
            _run(*_inside(router), "nft", *rule.split(" "))
        return _inside(host), address

    def router(self, number: int) -> list[str]:
        """Return what runs a command on the router of the home of that number, counted from 1."""
        return _inside(f"{self._prefix}-rt{number}")

    def _namespace(self, name: str) -> str:
        full = f"{self._prefix}-{name}"
        _run("ip", "netns", "add", full)
        self._made.append(full)
        self._ip(full, "link", "set", "lo", "up")
        return full

    def _join(self, name: str, port: str, address: str) -> None:
        """Plug a host or router into the bridge that is our internet."""
        peer = ("peer", "name", port, "netns", self._exchange)
        _run("ip", "link", "add", "wan", "netns", name, "type", "veth", *peer)
        self._ip(self._exchange, "link", "set", port, "master", "br0", "up")
        self._ip(name, "addr", "add", f"{address}/24", "dev", "wan")
        self._ip(name, "link", "set", "wan", "up")

    @staticmethod
    def _ip(namespace: str, *arguments: str) -> None:
        _run("ip", "-n", namespace, *arguments)


def missing() -> str | None:
    """Return why this machine cannot do it, or None where it can."""
    if os.geteuid() != 0:
        return "making network namespaces needs root"
    for program in ("ip", "nft", "sysctl"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    try:
        with Internet() as internet:
            internet.home("random-port")
    except subprocess.CalledProcessError as error:
        return f"{' '.join(error.cmd)}: {error.stderr.strip()}"
    return None


def _rules(kind: Kind) -> Iterator[str]:
    yield "add table ip filter"
    yield "add chain ip filter fw { type filter hook forward priority 0 ; policy drop ; }"
    yield "add rule ip filter fw ct state established,related accept"
    yield "add rule ip filter fw iifname lan accept"
    yield "add chain ip filter inp { type filter hook input priority 0 ; policy accept ; }"
    yield "add rule ip filter inp iifname wan ct state new drop"
    yield "add table ip nat"
    yield "add chain ip nat post { type nat hook postrouting priority 100 ; }"
    if kind == "random-port":
        yield "add rule ip nat post oifname wan masquerade random"
    else:
        yield "add rule ip nat post oifname wan masquerade"
    if kind == "forwarded":
        yield "add chain ip nat pre { type nat hook prerouting priority -100 ; }"
        yield f"add rule ip nat pre iifname wan tcp dport {FORWARDED_PORT} dnat to 192.168.1.2"
        yield f"insert rule ip filter fw iifname wan tcp dport {FORWARDED_PORT} accept"


def _inside(name: str) -> list[str]:
    return ["ip", "netns", "exec", name]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
