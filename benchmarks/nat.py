"""Two peers behind routers of their own and a third with a public address: what they make of it.

For each pair of kinds of router, three whole peers train a small model: how the two see their routers,
whether they exchange, directly or through the relay, how soon, and what the doctor says.

    sudo python -m benchmarks.nat [--seconds 90] [KIND/KIND ...]

Needs root, `ip` and `nft`, and `miniupnpd` for routers with UPnP. Prints JSON and keeps it as
`benchmarks/records/nat.json`.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, cast, get_args

from benchmarks.record import write_record
from benchmarks.routers import FORWARDED_PORT, Internet, Kind, missing
from tests.processes.support import SMALL_RUN, PeerProcess

PAIRS = (
    "port-preserving/port-preserving",
    "port-preserving/random-port",
    "random-port/random-port",
    "forwarded/random-port",
    "upnp/random-port",
)
LISTEN = f"/ip4/0.0.0.0/tcp/{FORWARDED_PORT}"


def main() -> None:
    """Run the pairs that are asked for, and keep the record."""
    options = argparse.ArgumentParser(description="Peers behind routers: the matrix.")
    options.add_argument("pairs", nargs="*", default=list(PAIRS), metavar="KIND/KIND")
    options.add_argument("--seconds", type=float, default=90.0, help="to wait for an exchange of the two")
    chosen = options.parse_args()
    reason = missing()
    if reason is not None:
        sys.exit(f"benchmarks.nat: {reason}")
    # Whoever ends us ends the peers and takes down the namespaces, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    results = {}
    for pair in chosen.pairs:
        results[pair] = _pair(pair, chosen.seconds)
        print(pair, json.dumps(results[pair]), file=sys.stderr, flush=True)
    write_record("nat", {"model": "18 k parameters", "pairs": results}, time.monotonic() - began)


def _pair(pair: str, patience: float) -> dict[str, Any]:
    kinds = [cast("Kind", kind) for kind in pair.split("/")]
    unknown = set(kinds) - set(get_args(Kind))
    if unknown or len(kinds) != 2:
        sys.exit(f"benchmarks.nat: {pair} is no pair of {', '.join(get_args(Kind))}")
    peers: list[PeerProcess] = []
    with Internet() as internet, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        run_file = home / "run.toml"
        run_file.write_text(SMALL_RUN)
        try:
            public = PeerProcess(
                home / "public", "--run", str(run_file), inside=internet.public()[0], listen=LISTEN
            )
            peers.append(public)
            address = public.address
            insides = [internet.home(kind)[0] for kind in kinds]
            doctors = [_doctor(inside, home / f"doctor{at}", address) for at, inside in enumerate(insides)]
            for at, inside in enumerate(insides):
                peers.append(
                    PeerProcess(home / f"peer{at}", "--bootstrap", address, inside=inside, listen=LISTEN)
                )
            return _watch(peers, doctors, patience)
        finally:
            for peer in peers:
                peer.process.terminate()
            for peer in peers:
                peer.wait()


def _doctor(inside: list[str], home: Path, address: str) -> list[dict[str, Any]]:
    command = [
        *inside,
        sys.executable,
        "-m",
        "peer",
        "doctor",
        "--home",
        str(home),
        "--device",
        "cpu",
        "--json",
    ]
    command += ["--bootstrap", address, "--listen", LISTEN]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)["findings"]
    return [
        {"check": each["check"], "level": each["level"], "number": each["number"], "said": each["said"]}
        for each in told
        if each["check"] in ("dial-back", "nat", "relay")
    ]


def _watch(peers: list[PeerProcess], doctors: list[list[dict[str, Any]]], patience: float) -> dict[str, Any]:
    public, *pair = peers
    names = {
        _peer_id(peer, patience): name for peer, name in zip(peers, ("public", "one", "two"), strict=True)
    }
    began = time.monotonic()
    met: float | None = None
    while time.monotonic() - began < patience:
        time.sleep(1.0)
        if met is None and "two" in _partners(pair[0], names):
            met = round(time.monotonic() - began, 1)
        if met is not None and all("public" in _partners(peer, names) for peer in pair):
            break
    told = [peer.status() for peer in pair]
    return {
        "seconds_until_the_two_exchange": met,
        "relay_bytes": _metric(public, "murmuration_relay_bytes_total"),
        "peers": [
            {
                "nat": status["nat"],
                "reachable": status["reachable"],
                "relayed_connections": status["relayed"],
                "exchanges": _partners(peer, names),
                "doctor": doctor,
            }
            for peer, status, doctor in zip(pair, told, doctors, strict=True)
        ],
    }


def _peer_id(peer: PeerProcess, patience: float) -> str:
    until = time.monotonic() + patience
    while time.monotonic() < until:
        for told in peer.drain():
            if told["event"] == "started":
                return str(told["peer_id"])
        time.sleep(0.2)
    sys.exit(f"benchmarks.nat: a peer did not start within {patience:g} s")


def _partners(peer: PeerProcess, names: dict[str, str]) -> dict[str, int]:
    done = (told["partner"] for told in peer.drain() if told["event"] == "exchange_done")
    return dict(Counter(names.get(partner, partner) for partner in done))


def _metric(peer: PeerProcess, name: str) -> float:
    url = peer.status()["metrics"]
    script = f"import urllib.request as u; print(u.urlopen({url!r}).read().decode())"
    done = subprocess.run(
        [*peer.inside, sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return next(float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith(name))


if __name__ == "__main__":
    main()
