"""The catalogue of what the doctor finds. A number never changes its meaning; `peer explain` tells more."""

from enum import IntEnum
from typing import Literal

import msgspec

Level = Literal["ok", "note", "warning", "failure"]
"""`note`: nothing is wrong, and something may be better. `warning`: it trains, worse than it could.
`failure`: it does not train."""


class Number(IntEnum):
    """What can be found: 100 to 199 on this machine, 200 to 299 on the way to the swarm."""

    CLOCK = 101
    DISK = 102
    DEVICE = 103
    MEMORY = 104
    PORT = 105
    HOME = 106
    LIMITS = 107
    UNWATCHED = 108
    PAUSES = 109
    NO_BOOTSTRAP = 201
    MANIFEST = 202
    BLOCKED = 203
    BEHIND_ROUTER = 204
    RANDOM_PORTS = 205
    NO_RELAY = 206
    UNTESTED = 207
    SLOW = 208
    NOBODY_ELSE = 209
    UNMEASURED = 210


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at, and what was seen."""

    check: str
    """`clock`, `disk`, `device`, `limits`, `home`, `port`, `manifest`, `dial-back`, `nat`, `relay`,
    `bandwidth` or `dht`."""
    level: Level
    said: str
    """What was seen, with its figures."""
    number: Number | None = None
    """None where all is well."""
    cause: str = ""
    mend: str = ""
    """A command that mends it, or what to do where there is none."""


class Report(msgspec.Struct, frozen=True):
    """What `peer doctor --json` prints."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing keeps this peer from training."""
        return not any(finding.level == "failure" for finding in self.findings)


def well(check: str, said: str) -> Finding:
    """Return that all is well."""
    return Finding(check=check, level="ok", said=said)


def found(check: str, number: Number, level: Level, said: str, *, mend: str = "") -> Finding:
    """Return that something is not, with the catalogue's cause.

    Args:
        check: what was looked at.
        number: what was found.
        level: how much it matters.
        said: what was seen.
        mend: what to do, where it depends on what was seen; else the catalogue's.
    """
    cause, usual = CATALOGUE[number]
    return Finding(check=check, level=level, said=said, number=number, cause=cause, mend=mend or usual)


CATALOGUE: dict[Number, tuple[str, str]] = {
    # number: (cause, what mends it; empty where that depends on what was seen)
    Number.CLOCK: (
        "Records are numbered by the clock: a peer whose clock is set back is not believed for as long.",
        "sudo timedatectl set-ntp true",
    ),
    Number.DISK: (
        "Checkpoints of the run's size would fill the disk, and training would go on without any.",
        "",
    ),
    Number.DEVICE: ("The trainer cannot start on that device.", ""),
    Number.MEMORY: (
        "Weights, momentum and the optimiser's state do not fit into the memory that is free now.",
        "peer start --device cpu (or end what holds the memory)",
    ),
    Number.PORT: ("Another program has the port, or to listen there needs rights.", ""),
    Number.LIMITS: ("`peer start` with this home would end with the same words.", ""),
    Number.UNWATCHED: ("A peer does not train past a limit that a person has set and nothing watches.", ""),
    Number.PAUSES: ("The governor makes room for the other users of this machine, as its limits say.", ""),
    Number.HOME: ("`peer start` with this home would end with the same words.", ""),
    Number.NO_BOOTSTRAP: (
        "Only other peers can tell whether this one is reached, and none was reached itself.",
        "peer doctor --bootstrap /ip4/ADDRESS/tcp/PORT/p2p/PEERID",
    ),
    Number.MANIFEST: ("This home belongs to another run.", ""),
    Number.BLOCKED: (
        "The address is this machine's own, so a firewall here or on the way drops new connections.",
        "",
    ),
    Number.BEHIND_ROUTER: (
        "A router neither forwards the port nor maps it; others punch through, or come through relays.",
        "",
    ),
    Number.RANDOM_PORTS: (
        "A symmetric router lets nobody in, and hole punching cannot guess its ports; relays remain.",
        "",
    ),
    Number.NO_RELAY: (
        "Peers that cannot be dialled are reached through others that can, if those volunteer.",
        "peer start --relay, on a machine with a public address that joins the run",
    ),
    Number.UNTESTED: (
        "They were busy, see this peer through a relay themselves, or gave up.",
        "peer doctor (again in a minute)",
    ),
    Number.SLOW: (
        "Most exchanges would come too late for their outer step, and count as skips.",
        "peer init, and found a run with a smaller model, a larger outer.every or a streaming preset",
    ),
    Number.UNMEASURED: (
        "They were busy with others, or nothing much came through in 20 seconds.",
        "peer doctor (again in a minute)",
    ),
    Number.NOBODY_ELSE: (
        "The bootstraps are alone, or their table does not answer.",
        "peer start --bootstrap with another peer of the run, if it is large",
    ),
}
