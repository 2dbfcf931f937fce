import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from peer.local.processes import LocalPeer
from peer.local.report import HeldOut, PeerReport, Report, as_text, peer_reports
from tests.peer.daemon.controls import STATUS, status

PEERS = [
    PeerReport(peer_id="a", inner_steps=200, tokens=1000, exchanges=9, skips=1, loss=2.05),
    PeerReport(peer_id="b", inner_steps=200, tokens=1000, exchanges=8, skips=2, loss=None),
]
REPORT = Report(
    peers=PEERS,
    held_out=HeldOut(start=5.668, replicas=[2.051, 2.049], replicas_mean=2.05, average=2.031),
    bytes_sent=103_600_000,
    lane_bytes_sent=103_000_000,
    seconds=41.4,
    preset="noloco",
    codec="int8",
    checkpoints=["/swarm/peer-0/checkpoints/step-00000200"],
)


def test_a_person_reads_the_losses_the_exchanges_and_the_bytes():
    assert as_text(REPORT, Path("/swarm")).splitlines() == [
        "loss on held-out text: 5.668 nats a token at the start",
        "  single replicas:     2.051 2.049 (mean 2.050)",
        "  their average:       2.031",
        "exchanges:             17 mixed, 3 skipped (preset noloco, codec int8)",
        "sent:                  103.6 MB in 41 s",
        "kept for --home:       /swarm (peer sample, peer evaluate, peer export)",
    ]


def test_a_tasks_losses_have_no_unit():
    first, *_ = as_text(REPORT, Path("/swarm"), "shapes").splitlines()
    assert first == "loss on held-out examples: 5.668 at the start"


def test_a_program_reads_it_back():
    assert msgspec.json.decode(msgspec.json.encode(REPORT), type=Report) == REPORT


@pytest.fixture
def process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(30)
    return process


def test_each_peer_that_ever_answered_is_summed_up(process):
    peers = [
        LocalPeer("peer-0", Path(), process, STATUS),
        LocalPeer("peer-1", Path(), process, None),
        LocalPeer("peer-2", Path(), process, status(peer_id="c", loss=None)),
    ]
    first, last = peer_reports(peers)
    assert first == PeerReport(
        peer_id=STATUS.peer_id, inner_steps=120, tokens=122_880, exchanges=5, skips=1, loss=2.5
    )
    assert (last.peer_id, last.loss) == ("c", None)
