"""Rate, error and speed of the codecs.

python -m benchmarks.codecs --values 12000000 --threads 1 --delta delta.f32
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.record import write_record
from peer.codec.base import Codec
from peer.codec.registry import get, names


def main() -> None:
    """Measure every codec on a Gaussian vector, and on a pseudo-gradient if one is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--values", type=int, default=12_000_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--delta", type=Path, help="a file of float32 values, as they are in memory")
    wanted = parser.parse_args()
    began = time.perf_counter()
    torch.set_num_threads(wanted.threads)
    gaussian = torch.randn(wanted.values, generator=torch.Generator().manual_seed(1))
    vectors = {"gaussian": gaussian}
    if wanted.delta:
        vectors["delta"] = torch.frombuffer(bytearray(wanted.delta.read_bytes()), dtype=torch.float32)
    device = torch.device(wanted.device)
    measured = [
        {"codec": name, "vector": kind, **measure(get(name), vector.to(device), wanted.repeats)}
        for kind, vector in vectors.items()
        for name in names()
    ]
    where = {"device": wanted.device, "threads": wanted.threads}
    results = {"torch": torch.__version__, **where, "codecs": measured}
    write_record("codecs", results, time.perf_counter() - began)


def measure(codec: Codec, vector: Tensor, repeats: int) -> dict[str, float]:
    """Return bits a value, relative error, and GB/s of float32 both ways, the best of `repeats`."""
    values = vector.numel()
    buffer = memoryview(bytearray(codec.format.encoded_size(values)))
    decoded = torch.empty_like(vector)
    encode_seconds = best(lambda: codec.encode_into(vector, buffer), repeats)
    decode_seconds = best(lambda: codec.decode_into(buffer, decoded), repeats)
    gigabytes = 4e-9 * values
    return {
        "values": values,
        "bits_per_value": 8 * buffer.nbytes / values,
        "relative_error": float((decoded - vector).double().norm() / vector.double().norm()),
        "encode_gb_s": gigabytes / encode_seconds,
        "decode_gb_s": gigabytes / decode_seconds,
    }


def best(action: Callable[[], object], repeats: int) -> float:
    """Return the shortest time that an action takes, in seconds, after one run to warm up."""
    action()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
