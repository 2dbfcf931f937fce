"""What devices can do by their vendors' figures."""

from dataclasses import dataclass
from difflib import get_close_matches

from peer.errors import UsageError

MFU = 0.3
"""The part of a device's peak that training is assumed to reach (model FLOP/s utilisation, PaLM, arXiv
2204.02311, appendix B). INTELLECT-1 reached 0.36 to 0.41 on H100s at 10 B parameters (2412.01152); smaller
models reach less, so that 0.2 to 0.45 is to be expected. `--check` says what a home really reached."""

MFU_RANGE = (0.2, 0.45)


@dataclass(frozen=True, slots=True)
class Device:
    """One device.

    Attributes:
        name: as people type it.
        teraflops: dense, with fp32 accumulation: in bf16, or in fp32 where `bf16` is False.
        watts: the vendor's board power; of Apple's the most that the whole machine draws.
        gigabytes: memory on the board; None where it is the machine's.
        bf16: whether the trainer computes in bf16 there (`inner.precision = "auto"`).
    """

    name: str
    teraflops: float
    watts: float
    gigabytes: float | None = None
    bf16: bool = True

    @property
    def kind(self) -> str:
        """What torch calls such devices: AMD's are `cuda` as well."""
        return "mps" if self.gigabytes is None else "cuda"


DEVICES = (
    # GeForce: NVIDIA's whitepapers on GA102, Ada and Blackwell: BF16 tensor, FP32 accumulate, dense.
    Device("rtx 3060", 25.5, 170, 12),  # twice its fp32 figure, as in the whitepaper of its larger sisters
    Device("rtx 3070", 40.6, 220, 8),
    Device("rtx 3080", 59.5, 320, 10),
    Device("rtx 3090", 71.0, 350, 24),
    Device("rtx 4070 ti", 80.2, 285, 12),
    Device("rtx 4080", 97.5, 320, 16),
    Device("rtx 4090", 165.2, 450, 24),
    Device("rtx 5080", 112.6, 360, 16),
    Device("rtx 5090", 209.5, 575, 32),
    # Workstations and servers: NVIDIA's data sheets, half of what stands there "with sparsity".
    Device("rtx a6000", 154.8, 300, 48),
    Device("rtx 6000 ada", 364.2, 300, 48),
    Device("t4", 8.1, 70, 16, bf16=False),
    Device("l4", 121.0, 72, 24),
    Device("l40s", 362.0, 350, 48),
    Device("a10", 125.0, 150, 24),
    Device("a40", 149.7, 300, 48),
    Device("v100", 15.7, 300, 32, bf16=False),
    Device("a100", 312.0, 400, 80),
    Device("h100 pcie", 756.0, 350, 80),
    Device("h100", 989.4, 700, 80),
    Device("h200", 989.4, 700, 141),
    Device("b200", 2250.0, 1000, 180),
    # AMD's data sheets.
    Device("rx 7900 xtx", 122.8, 355, 24),
    Device("mi250x", 383.0, 560, 128),
    Device("mi300x", 1307.4, 750, 192),
    # Apple: GPU fp32 from its press releases, power from its support pages.
    Device("m1", 2.6, 39, bf16=False),
    Device("m1 max", 10.4, 115, bf16=False),
    Device("m2", 3.6, 50, bf16=False),
    Device("m2 max", 13.6, 145, bf16=False),
    Device("m2 ultra", 27.2, 295, bf16=False),
)


def find_device(name: str) -> Device:
    """Return the device of that name, in whatever case, with or without its vendor.

    Raises:
        UsageError: it is not in the table.
    """
    known = {device.name: device for device in DEVICES}
    plain = " ".join(name.lower().replace("-", " ").split())
    for vendor in ("nvidia ", "geforce ", "amd ", "radeon ", "apple "):
        plain = plain.removeprefix(vendor)
    if plain in known:
        return known[plain]
    close = get_close_matches(plain, known, n=3)
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    raise UsageError(
        f"No figures are known for the device {name!r}",
        f"{hint}Give its own: --flops (dense, such as 165T) and --watts. Known: {', '.join(known)}",
    )
