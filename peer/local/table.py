"""The live table of a local swarm, and a plain line where there is no terminal to redraw."""

from collections.abc import Sequence

from rich.table import Table

from peer.local.processes import LocalPeer
from peer.telemetry.format import format_bytes

NONE = "-"


def table(peers: Sequence[LocalPeer], seconds: float, steps: int) -> Table:
    """Draw every peer's last status."""
    title = f"{len(peers)} peers, {steps} inner steps each, {seconds:.0f} s"
    # 76 columns of a terminal's 80, and the same ones from beginning to end.
    drawn = Table(title=title, title_justify="left", box=None, pad_edge=False)
    drawn.add_column("peer", no_wrap=True)
    drawn.add_column("state", no_wrap=True, min_width=8)
    for name in ("step", "loss", "tokens/s"):
        drawn.add_column(name, justify="right", no_wrap=True, min_width=5)
    drawn.add_column("partner", no_wrap=True)
    for name in ("exchanges", "skips", "sent"):
        drawn.add_column(name, justify="right", no_wrap=True, min_width=8 if name == "sent" else None)
    names = {peer.status.peer_id: peer.name for peer in peers if peer.status}
    for peer in peers:
        drawn.add_row(peer.name, *_cells(peer, names))
    return drawn


def _cells(peer: LocalPeer, names: dict[str, str]) -> list[str]:
    status = peer.status
    if status is None:
        return [_state(peer), *[NONE] * 7]
    return [
        _state(peer),
        str(status.inner_step),
        NONE if status.loss is None else f"{status.loss:.3f}",
        f"{status.tokens_per_second:,.0f}",
        names.get(status.partner or "", NONE),
        str(status.exchanges),
        str(status.skips),
        format_bytes(status.bytes_out),
    ]


def _state(peer: LocalPeer) -> str:
    if peer.running:
        return peer.status.state if peer.status else "starting"
    if peer.process.returncode:
        return "failed"
    return "done" if peer.status and peer.status.state != "stopping" else "stopped"


def line(peers: Sequence[LocalPeer], seconds: float) -> str:
    """Say in one line how far every peer is."""
    parts = [
        f"{peer.name} step {peer.status.inner_step} loss {peer.status.loss:.3f} "
        f"exchanges {peer.status.exchanges} skips {peer.status.skips}"
        for peer in peers
        if peer.status is not None and peer.status.loss is not None
    ]
    return f"{seconds:5.0f} s  " + ("; ".join(parts) or "starting")
