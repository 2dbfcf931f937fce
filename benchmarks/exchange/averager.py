"""One peer of hivemind 1.1.12's averager. Runs in hivemind's own environment, and imports nothing of ours.

Reads `go` lines, and prints one line of JSON for each: what the whole step took, matchmaking included, and
what the all-reduce alone did.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import hivemind  # type: ignore[import-not-found]
import torch


class Timed(hivemind.DecentralizedAverager):  # type: ignore[misc]
    """Writes down how long each all-reduce took; it runs in a process of its own."""

    record: Path

    async def _aggregate_with_group(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - its own affair
        began = time.monotonic()
        result = await super()._aggregate_with_group(*args, **kwargs)
        self.record.write_text(str(time.monotonic() - began), encoding="utf-8")
        return result


def main() -> None:
    """Average a tensor of so many bytes with the other peer at each `go`."""
    size, record, *known = sys.argv[1:]
    Timed.record = Path(record)
    dht = hivemind.DHT(host_maddrs=["/ip4/127.0.0.1/tcp/0"], initial_peers=known, start=True)
    averager = Timed(
        averaged_tensors=[torch.randn(int(size) // 4)],
        dht=dht,
        prefix="exchange",
        target_group_size=2,
        min_group_size=2,
        min_matchmaking_time=1.0,
        request_timeout=0.5,
        allow_state_sharing=False,
        start=True,
    )
    address = next(str(each) for each in dht.get_visible_maddrs())
    print(json.dumps({"address": address}), flush=True)
    for _ in sys.stdin:
        began = time.monotonic()
        done = averager.step(timeout=60, allow_retries=True)
        seconds = time.monotonic() - began
        reduced = float(Timed.record.read_text(encoding="utf-8")) if done else None
        print(json.dumps({"done": bool(done), "step_seconds": seconds, "seconds": reduced}), flush=True)
    averager.shutdown()
    dht.shutdown()


if __name__ == "__main__":
    main()
