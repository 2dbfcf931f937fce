"""How long a newcomer takes for a state of 100 MB from three donors, of which one dies and one lies.

Real peers on this machine, each donor with 20 Mbit/s up. The honest links need as long as the honest donor
takes for what the dying one has not given before it died.

    python -m benchmarks.newcomer
"""

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.homes import Home
from benchmarks.record import write_record

RUN = """
codecs = ["int8"]
[model]
layers = 4
width = 512
heads = 8
hidden = 1364
context = 16
[inner]
batch = 1
steps = 100000
[outer]
every = 5000
"""
"""Some 12.6 M parameters: a state of 100 MB. Steps are as cheap as may be: only the state matters here."""

GOAL = 1.3
HONEST, DYING, LYING = range(3)
PORTS = (14011, 14012, 14013)


def main() -> None:
    """Let one join, and write the record."""
    parser = argparse.ArgumentParser(description="A newcomer and its three donors.")
    parser.add_argument("--megabits", type=float, default=20.0, help="of each donor's uplink")
    parser.add_argument("--alive", type=float, default=10.0, help="seconds until one donor dies")
    wanted = parser.parse_args()
    began = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        results = _join(stack, folder, wanted.megabits, wanted.alive)
    write_record("newcomer", results, time.monotonic() - began)
    if results["times_what_the_honest_links_need"] > GOAL:
        raise SystemExit("it took too long")
    if results["shares"]["lying"] or not results["lies_noticed"]:
        raise SystemExit("the liar was believed, or never asked")


def _join(stack: ExitStack, folder: Path, megabits: float, alive: float) -> dict[str, Any]:
    donors = _donors(stack, folder, f"{megabits:g}Mbit")
    names = {
        donor.until("training").peer_id: name
        for donor, name in zip(donors, ("honest", "dying", "lying"), strict=True)
    }
    newcomer = _start(folder / "newcomer", "--bootstrap", _address(donors[HONEST]), port=0)
    stack.callback(newcomer.end)
    while not ((status := newcomer.until("joining")).joining and status.joining.received):
        time.sleep(0.05)
    began = time.monotonic()
    lies = 0.0
    while not newcomer.events("state_fetched"):
        lies = max(lies, newcomer.metric("murmuration_joining_lies_total"))
        if donors[DYING].lives and time.monotonic() - began >= alive:
            donors[DYING].end()
        time.sleep(0.1)
    seconds = time.monotonic() - began
    [told] = newcomer.events("state_fetched")
    newcomer.until("training")
    rate = megabits * 125_000
    needed = (told["size"] - min(alive, seconds) * rate) / rate
    return {
        "state_bytes": told["size"],
        "megabits_of_a_donor": megabits,
        "seconds_until_one_died": alive,
        "seconds": round(seconds, 1),
        "seconds_that_the_honest_links_need": round(needed, 1),
        "times_what_the_honest_links_need": round(seconds / needed, 3),
        "donors": [names[peer_id] for peer_id in told["donors"]],
        "shares": {name: name in [names[peer_id] for peer_id in told["donors"]] for name in names.values()},
        "lies_noticed": lies,
        "trains": True,
        "goal": GOAL,
    }


def _donors(stack: ExitStack, folder: Path, uplink: str) -> list[Home]:
    """Bring up three that have a state; only then with slow uplinks, and with one that lies."""
    (folder / "run.toml").write_text(RUN)
    founder = _start(folder / "honest", "--run", str(folder / "run.toml"), port=PORTS[HONEST])
    stack.callback(founder.end)
    address = _address(founder)
    others = [
        _start(folder / name, "--bootstrap", address, port=port)
        for name, port in zip(("dying", "lying"), PORTS[DYING:], strict=True)
    ]
    for home in others:
        stack.callback(home.end)
    for home in (*others, founder):
        home.until("training")
        home.leave()
    again = [
        _start(
            home.folder,
            *(
                "--upload-limit",
                uplink,
                *(("--bootstrap", address) if port != PORTS[HONEST] else ()),
            ),
            port=port,
            module="benchmarks.liar" if port == PORTS[LYING] else "peer",
        )
        for home, port in zip((founder, *others), PORTS, strict=True)
    ]
    for home in again:
        stack.callback(home.end)
    return again


def _start(folder: Path, *arguments: str, port: int, module: str = "peer") -> Home:
    listen = f"/ip4/127.0.0.1/tcp/{port}"
    return Home(folder, "--announce-loopback", *arguments, listen=listen, nice=True, module=module)


def _address(home: Home) -> str:
    return home.until("training").addresses[0]


if __name__ == "__main__":
    main()
