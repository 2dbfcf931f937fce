"""A small internet in network namespaces: public hosts, and homes behind routers of several kinds.

    11.0.0.0/24, a bridge: public hosts from 11.0.0.1 on, routers from 11.0.0.101 on
    192.168.1.0/24, in every home: the router at .1 and one host at .2

Needs root, `ip` and `nft`. Everything is named after the process that made it, and taken down at its end.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Any, Literal, Self

Kind = Literal["port-preserving", "random-port", "forwarded", "upnp"]
"""What a home's router does: it keeps the port of a connection where that is free; it gives each connection
a random one; as the first, and it leads FORWARDED_PORT to the host; as the first, and it leads to the host
what that asks for by UPnP (with `miniupnpd`)."""

FORWARDED_PORT = 4001
_QUIET: Any = {"capture_output": True, "text": True}
PUBLIC = "11.0.0.{}"
ROUTERS_FROM = 101


class Internet:
    """The namespaces of one experiment. Use as a context manager."""

    def __init__(self) -> None:
        self._prefix = f"mm{os.getpid()}"
        self._made: list[str] = []
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._hosts: dict[str, str] = {}
        """The namespace of each public host, by its address."""
        self._public = self._homes = 0

    def __enter__(self) -> Self:
        self._exchange = self._namespace("net")
        self._ip(self._exchange, "link", "add", "br0", "type", "bridge")
        self._ip(self._exchange, "link", "set", "br0", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in self._daemons:
            daemon.terminate()
            daemon.communicate()
        for name in reversed(self._made):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def public(self) -> tuple[list[str], str]:
        """Add a host with a public address; return what runs a command on it, and the address."""
        self._public += 1
        address, name = PUBLIC.format(self._public), self._namespace(f"pub{self._public}")
        self._join(name, f"p{self._public}", address)
        self._hosts[address] = name
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
        subprocess.run([*_inside(router), "nft", "-f", "-"], input=_rules(kind), check=True, **_QUIET)
        if kind == "upnp":
            self._serve_upnp(router)
        return _inside(host), address

    def part(self, *sides: Sequence[str]) -> None:
        """Let no packet pass between public hosts of different sides, named by their addresses."""
        for side in sides:
            others = ", ".join(address for other in sides if other is not side for address in other)
            for address in side:
                self._rule(address, _CUT.format(others=others))

    def heal(self) -> None:
        """Make one network of all sides again."""
        for address in self._hosts:
            self._rule(address, "table inet cut { }\ndelete table inet cut")

    def _rule(self, address: str, rules: str) -> None:
        subprocess.run([*_inside(self._hosts[address]), "nft", "-f", "-"], input=rules, check=True, **_QUIET)

    def router(self, number: int) -> list[str]:
        """Return what runs a command on the router of the home of that number, counted from 1."""
        return _inside(f"{self._prefix}-rt{number}")

    def _serve_upnp(self, router: str) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as settings:
            settings.write(_UPNP)
            settings.flush()
            command = [*_inside(router), "miniupnpd", "-d", "-f", settings.name, "-P", f"{settings.name}.pid"]
            self._daemons.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
            said = b""
            for line in self._daemons[-1].stdout or ():
                said += line
                if b"listening on" in line:
                    return
        raise RuntimeError(f"miniupnpd ended: {said.decode(errors='replace')}")

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


def _rules(kind: Kind) -> str:
    forward = f"iifname wan tcp dport {FORWARDED_PORT} accept" if kind == "forwarded" else ""
    lead = f"iifname wan tcp dport {FORWARDED_PORT} dnat ip to 192.168.1.2" if kind == "forwarded" else ""
    return f"""
        table inet filter {{
            chain mapped {{ }}
            chain mapped_in {{ }}
            chain mapped_out {{ }}
            chain forward {{
                type filter hook forward priority 0; policy drop;
                ct state established,related accept
                iifname lan accept
                {forward}
                jump mapped
            }}
            chain input {{
                type filter hook input priority 0; policy accept;
                iifname wan ct state new drop
            }}
            chain prerouting {{
                type nat hook prerouting priority -100;
                {lead}
                jump mapped_in
            }}
            chain postrouting {{
                type nat hook postrouting priority 100;
                jump mapped_out
                oifname wan masquerade {"random" if kind == "random-port" else ""}
            }}
        }}
    """


_CUT = """
    table inet cut {{
        chain input {{
            type filter hook input priority 0; policy accept;
            ip saddr {{ {others} }} drop
        }}
        chain output {{
            type filter hook output priority 0; policy accept;
            ip daddr {{ {others} }} drop
        }}
    }}
"""

_UPNP = """
ext_ifname=wan
listening_ip=lan
enable_upnp=yes
enable_natpmp=no
secure_mode=yes
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=mapped
upnp_nat_chain=mapped_in
upnp_nat_postrouting_chain=mapped_out
uuid=00000000-0000-0000-0000-000000000001
allow 1024-65535 192.168.1.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""


def _inside(name: str) -> list[str]:
    return ["ip", "netns", "exec", name]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, **_QUIET)
