"""What a run moves over one peer's line a month, by its manifest and the pace at which it trains here."""

from peer.plan.exchange import exchange_bytes, exchanges, share_bytes
from peer.plan.reckon import MONTH
from peer.plan.run import choice_of
from protocol.manifest import Manifest
from protocol.sizes import parameters


def month_bytes(manifest: Manifest, peers: int, outer_seconds: float) -> float | None:
    """Return the bytes of shares that pass each way in 30 days, in a swarm of so many peers.

    None where no law tells: `onebyte` moves votes, some bytes a step.
    """
    preset = manifest.outer.preset
    if preset == "onebyte":
        return None
    choice = choice_of(manifest)
    share = share_bytes(parameters(manifest), choice.codec, choice.bits)
    each = exchange_bytes(preset, peers, share) if peers > 1 else 0.0
    return exchanges(preset, peers) * each * MONTH / outer_seconds
