"""Rate, error and speed of the codecs: on a Gaussian vector, and on what replicas really exchange.

python -m benchmarks.codecs --values 12000000 --outer-steps 8
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks.deltas import PairOf, Round, train
from benchmarks.record import write_record
from peer.codec.base import Codec
from peer.codec.ecsq import Ecsq
from peer.codec.formats import blocks_size, bounds_size, failed_size
from peer.codec.modulo import Bounds, decode, decode_blocks, encode, encode_blocks
from peer.codec.registry import get, names

BITS = (1, 2, 3, 4, 5, 8)
STEPS = (0.5, 0.7, 1.0)
"""Of `ecsq`, in RMS."""

Number = dict[str, object]


def main() -> None:
    """Measure every codec and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--values", type=int, default=12_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--outer-steps", type=int, default=8)
    wanted = parser.parse_args()
    began = time.perf_counter()
    rounds = train(wanted.outer_steps)
    results = {
        "torch": torch.__version__,
        "device": wanted.device,
        "load_average": os.getloadavg()[0],
        "replicas": len(rounds[0].deltas),
        "parameters": rounds[0].deltas[0].numel(),
        "inner_steps": rounds[0].inner_steps,
        "outer_steps": len(rounds),
        "pseudo_gradients": [on_deltas(name, codec, rounds) for name, codec in plain()],
        "modulo": [on_pairs(share, bits, rounds) for share in rounds[0].shares for bits in BITS],
        "gaussian": list(on_gaussian(wanted.values, torch.device(wanted.device), wanted.repeats)),
    }
    write_record("codecs", results, time.perf_counter() - began)


def plain() -> Iterator[tuple[str, Codec]]:
    """Yield each codec that needs no receiver, by name; `ecsq` at several steps."""
    for name in names(["none", "phi"]):
        if name == "ecsq":
            yield from ((f"ecsq, step {step} RMS", Ecsq(step)) for step in STEPS)
        else:
            yield name, get(name)


def on_deltas(name: str, codec: Codec, rounds: list[Round]) -> Number:
    """Return bits a value and relative error, over all pseudo-gradients."""
    deltas = [delta for outer_step in rounds for delta in outer_step.deltas]
    encoded = [codec.encode(delta) for delta in deltas]
    errors = [
        relative(codec.decode(data, delta.numel()), delta, delta)
        for data, delta in zip(encoded, deltas, strict=True)
    ]
    values = sum(delta.numel() for delta in deltas)
    return {
        "codec": name,
        "bits_per_value": 8 * sum(map(len, encoded)) / values,
        "relative_error": sum(errors) / len(errors),
    }


def on_pairs(share: str, bits: int, rounds: list[Round]) -> Number:
    """Return what `modulo` does between partners that change every outer step.

    A peer's bounds are from the partners that it met before, as it decoded them; the first exchange, which
    knows no distance, is in bf16 and not counted. Errors are relative to the partners' distance, which is
    what a mix is made of; rates are with bounds, checksums and re-sends.
    """
    bounds: dict[int, Bounds] = {}
    failed_blocks, errors, sent, values = [], [], 0, 0
    for pair in rounds[0].pairs(share):
        bounds[pair.receiver] = Bounds.from_distance(pair.own, pair.theirs.bfloat16().float())
    for number, outer_step in enumerate(rounds[1:]):
        failures = blocks = 0
        for pair in outer_step.pairs(share):
            before = bounds[pair.receiver]
            decoded, failed, size = exchange(pair, before, bits, seed=number)
            bounds[pair.receiver] = Bounds.from_distance(pair.own, decoded, before, bits=bits)
            sent, values = sent + size, values + pair.own.numel()
            failures, blocks = failures + failed, blocks + before.blocks
            errors.append(relative(decoded, pair.theirs, pair.theirs - pair.own))
        failed_blocks.append(failures / blocks)
    return {
        "share": share,
        "bits": bits,
        "bits_per_value": 8 * sent / values,
        "error_relative_to_distance": sum(errors) / len(errors),
        "failed_blocks": sum(failed_blocks) / len(failed_blocks),
        "failed_blocks_by_outer_step": failed_blocks,
    }


def exchange(pair: PairOf, bounds: Bounds, bits: int, seed: int) -> tuple[Tensor, int, int]:
    """Send one share by `modulo`; return what arrives, the blocks that failed, and all bytes."""
    encoded = encode(pair.theirs, bounds, bits, seed)
    decoded, failed = decode(encoded.data, pair.own, bounds)
    decode_blocks(encode_blocks(pair.theirs, failed), failed, decoded)
    values, count = pair.own.numel(), failed.numel()
    size = len(encoded.data) + bounds_size(values) + failed_size(values) + blocks_size(values, count)
    return decoded, count, size


@dataclass(frozen=True, slots=True)
class Job:
    """A codec to time, with everything that it needs."""

    name: str
    write: Callable[[], bytes]
    read: Callable[[bytes], object]


def on_gaussian(values: int, device: torch.device, repeats: int) -> Iterator[Number]:
    """Yield bits a value, and GB/s of float32 both ways, the best of `repeats`.

    Two threads are two of Python's, each with a vector: what the GIL leaves of the second core.
    """
    torch.set_num_threads(1)
    for job in jobs(values, device):
        data = job.write()
        speeds = {}
        for threads in (1, 2):
            gigabytes = 4e-9 * values * threads
            for way, action in (("encode", job.write), ("decode", lambda job=job, data=data: job.read(data))):
                speeds[f"{way}_gb_s_{threads}_threads"] = gigabytes / best(action, repeats, threads)
        yield {"codec": job.name, "values": values, "bits_per_value": 8 * len(data) / values, **speeds}


def jobs(values: int, device: torch.device) -> Iterator[Job]:
    """Yield every codec, `modulo` for a receiver whose values differ by a tenth."""
    generator = torch.Generator().manual_seed(1)
    vector = torch.randn(values, generator=generator).to(device)
    near = vector + 0.1 * torch.randn(values, generator=generator).to(device)
    bounds = Bounds.from_distance(near, vector)
    for name, codec in plain():
        yield Job(name, partial(codec.encode, vector), partial(codec.decode, values=values, device=device))
    for bits in BITS:
        write = partial(message, vector, bounds, bits)
        yield Job(f"modulo, {bits} bits", write, partial(decode, reference=near, bounds=bounds))


def message(vector: Tensor, bounds: Bounds, bits: int) -> bytes:
    """Return what `modulo` sends."""
    return encode(vector, bounds, bits, seed=1).data


def relative(found: Tensor, wanted: Tensor, scale: Tensor) -> float:
    """Return the error's norm over that of `scale`."""
    return float((found - wanted).double().norm() / scale.double().norm())


def best(action: Callable[[], object], repeats: int, threads: int) -> float:
    """Return the shortest time that so many threads take to do an action each, in seconds."""
    seconds = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(repeats):
            start = time.perf_counter()
            for done in [pool.submit(action) for _ in range(threads)]:
                done.result()
            seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
