"""What a local swarm learned: the object that `peer swarm --json` prints, and its form for people."""

from pathlib import Path

import msgspec

from peer.local.processes import LocalPeer
from peer.telemetry.format import format_bytes


class PeerReport(msgspec.Struct, frozen=True, kw_only=True):
    """One peer of the swarm."""

    peer_id: str
    inner_steps: int
    tokens: int
    exchanges: int
    skips: int
    loss: float | None
    """Last training loss, nats a token."""


class HeldOut(msgspec.Struct, frozen=True, kw_only=True):
    """Losses on one held-out text, nats a token."""

    start: float
    """Of the first weights."""
    replicas: list[float]
    """Of each peer's own weights."""
    replicas_mean: float
    average: float
    """Of the average of the peers' weights: the swarm's model."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report. Fields keep their names and meanings."""

    peers: list[PeerReport]
    held_out: HeldOut
    bytes_sent: int
    lane_bytes_sent: int
    """Of them, those over lanes: connections beside libp2p, for bulk."""
    seconds: float
    preset: str
    codec: str
    checkpoints: list[str]


def peer_reports(peers: list[LocalPeer]) -> list[PeerReport]:
    """Sum up each peer from its last status."""
    return [
        PeerReport(
            peer_id=status.peer_id,
            inner_steps=status.inner_step,
            tokens=status.tokens,
            exchanges=status.exchanges,
            skips=status.skips,
            loss=status.loss,
        )
        for peer in peers
        if (status := peer.status) is not None
    ]


def as_text(report: Report, folder: Path, task: str | None = None) -> str:
    """Say the report of a run, which may be of a plug-in's task, in a few lines."""
    on, unit = ("examples", "") if task else ("text", " nats a token")
    held_out = report.held_out
    replicas = " ".join(f"{loss:.3f}" for loss in held_out.replicas)
    done = sum(peer.exchanges for peer in report.peers)
    skipped = sum(peer.skips for peer in report.peers)
    exchanges = f"{done} mixed, {skipped} skipped"
    return "\n".join(
        [
            f"loss on held-out {on}: {held_out.start:.3f}{unit} at the start",
            f"  single replicas:     {replicas} (mean {held_out.replicas_mean:.3f})",
            f"  their average:       {held_out.average:.3f}",
            f"exchanges:             {exchanges} (preset {report.preset}, codec {report.codec})",
            f"sent:                  {format_bytes(report.bytes_sent)} in {report.seconds:.0f} s",
            f"kept for --home:       {folder} (peer sample, peer evaluate, peer export)",
        ]
    )
