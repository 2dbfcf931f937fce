"""A GPU as this machine knows it, which is more than torch calls it."""

from typing import Literal

from protocol.codec import Message


class Gpu(Message, frozen=True):
    """A GPU that the trainer uses, and what others on this machine know it by."""

    index: int
    """As torch counts: `cuda:1` is 1."""
    name: str
    memory: int
    """Bytes, all of them."""
    vendor: Literal["nvidia", "amd"]
    address: str
    """On the PCI bus, such as 0000:01:00.0; empty where this torch does not tell."""
    uuid: str
    """As NVIDIA's driver writes it: GPU-..., or empty."""
