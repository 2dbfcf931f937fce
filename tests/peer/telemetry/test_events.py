from typing import get_args

import msgspec
import pytest

from peer.telemetry.behind_events import CaughtUp, FellBehind, StayedBehind
from peer.telemetry.event import Event
from peer.telemetry.events import (
    Alone,
    AnyEvent,
    BatchFitted,
    Checkpointed,
    CheckpointFailed,
    ExchangeDone,
    ExchangeFailed,
    Joined,
    LaneFailed,
    ManifestRefused,
    MetricsServed,
    MixRefused,
    NoDonor,
    NoLongerAlone,
    Paused,
    PeerGone,
    PeerSeen,
    ReachChanged,
    Resumed,
    ShareFailed,
    ShareReady,
    SinkFailed,
    Skipped,
    SplitNoticed,
    Started,
    StateComing,
    StateFetched,
    StateRefused,
    StateServed,
    Stopped,
    TrainerDied,
    TrainerStarted,
    VotesEqual,
)
from peer.telemetry.limit_events import DiskShort, LimitsChanged, LimitsRefused, Unwatched, Uses, WillUse

USES = Uses(
    device="cuda:0",
    name="NVIDIA GeForce RTX 4090",
    memory=25_400_000_000,
    batch=8,
    context=256,
    month_bytes=31_200_000_000.0,
    taken=4_500_000_000,
)

WILL_USE = WillUse(
    device="auto",
    memory=4_500_000_000,
    fetched=1_300_000_000,
    disk_free=123_000_000_000,
    disk_needed=3_400_000_000,
    pauses=("outside mon-fri 19:00-07:00, sat-sun", "on battery", "while others use the GPU"),
    caps=(),
)

PEER = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6aB3f"

LINES = [
    (
        Started(peer_id="12D3x", version="0.1.0", addresses=("/ip4/1.2.3.4/tcp/4001",)),
        "peer 12D3x (version 0.1.0) listens on /ip4/1.2.3.4/tcp/4001",
    ),
    (
        Joined(run_id="0123456789abcdef", run_name="toy", preset="noloco"),
        "in run 'toy' (0123456789ab), outer rule noloco",
    ),
    (
        MetricsServed(url="http://127.0.0.1:9464/metrics"),
        "metrics at http://127.0.0.1:9464/metrics",
    ),
    (
        ManifestRefused(peer=PEER, fields=("inner.batch: 8 here, 16 there", "seed: 0 here, 1 there")),
        "12D3..aB3f is in another run: inner.batch: 8 here, 16 there; seed: 0 here, 1 there",
    ),
    (
        Paused(kind="gpu", reason="GPU 0 is used by blender (pid 4242)", inner_step=120),
        "paused: GPU 0 is used by blender (pid 4242) (at step 120)",
    ),
    (
        Paused(kind="hand", reason="by hand", inner_step=None),
        "paused: by hand (before the trainer began)",
    ),
    (
        Resumed(reason="GPU 0 is used by blender (pid 4242)", seconds=125),
        "resumed after 2 min 5 s; the pause was: GPU 0 is used by blender (pid 4242)",
    ),
    (
        LimitsChanged(limits=("pauses on battery", "at most 10 Mbit/s up")),
        "new limits: pauses on battery; at most 10 Mbit/s up",
    ),
    (LimitsRefused(reason="disk: x is no size"), "THE LIMITS STAY AS THEY WERE: disk: x is no size"),
    (
        DiskShort(free=3_100_000, needed=34_800_000),
        (
            "THE DISK IS TOO SMALL: checkpoints take up to 34.8 MB more, and 3.1 MB are free; "
            "once it is full no checkpoint is written"
        ),
    ),
    (
        Unwatched(limit="max_power", reason="nothing here tells the power draw of the processor"),
        "NOTHING WATCHES max_power: nothing here tells the power draw of the processor",
    ),
    (WILL_USE, "will train on an NVIDIA or AMD GPU if there is one, else on the processor"),
    (USES, "uses cuda:0, NVIDIA GeForce RTX 4090 with 25.4 GB of memory"),
    (PeerSeen(peer=PEER), "peer 12D3..aB3f is here"),
    (PeerGone(peer=PEER, reason="silent"), "peer 12D3..aB3f is gone: it no longer answers"),
    (PeerGone(peer=PEER, reason="goodbye"), "peer 12D3..aB3f is gone: it said goodbye"),
    (Alone(), "ALONE: no other peer is in view, so there is nobody to exchange with; looking for others"),
    (NoLongerAlone(seconds=125), "no longer alone, after 2 min 5 s"),
    (
        SplitNoticed(peer=PEER, ours=3, theirs=4),
        "SPLIT: 12D3..aB3f is of another half of this run, 4 peers that our 3 did not know; joining them",
    ),
    (ReachChanged(reachable=None, nat="unknown", addresses=()), "announcing no address yet"),
    (
        ReachChanged(reachable=True, nat="none", addresses=("/ip4/192.0.2.7/tcp/1",), relaying=True),
        "others can dial this peer at /ip4/192.0.2.7/tcp/1; a relay for those who cannot",
    ),
    (
        ReachChanged(reachable=False, nat="random-port", addresses=("c",), circuits=("c",)),
        "NOBODY CAN DIAL THIS PEER (router: random-port); reached through 1 relay; see `peer doctor`",
    ),
    (
        ReachChanged(reachable=False, nat="none", addresses=()),
        "NOBODY CAN DIAL THIS PEER; reached through no relay; see `peer doctor`",
    ),
    (
        TrainerStarted(device="cuda:0", parameters=1_234_567, inner_step=40, resumed=True),
        "trainer resumed at step 40 on cuda:0, 1,234,567 parameters",
    ),
    (
        TrainerStarted(
            device="cuda:0,cuda:1",
            parameters=1_234_567,
            inner_step=0,
            resumed=False,
            name="2 x NVIDIA L4",
            memory=24_000_000_000,
            ranks=2,
        ),
        "trainer started at step 0 on cuda:0,cuda:1 (2 x NVIDIA L4, 24.0 GB each), 1,234,567 parameters",
    ),
    (BatchFitted(micro_batch=8, batch=8, how="found"), "batches of 8 fit into memory whole"),
    (
        BatchFitted(micro_batch=2, batch=8, how="remembered"),
        "batches of 8 pass 2 at a time (as before)",
    ),
    (
        BatchFitted(micro_batch=1, batch=8, how="lowered"),
        "MEMORY RAN OUT: batches of 8 pass 1 at a time from now on",
    ),
    (TrainerDied(code=-9, restarts=2), "trainer was killed by signal 9; restart 2 follows"),
    (
        TrainerDied(code=1, restarts=1, said="KeyError: 'x'", log="/h/trainer.log"),
        "trainer exited with code 1: KeyError: 'x'; restart 1 follows; its log is /h/trainer.log",
    ),
    (
        Checkpointed(inner_step=40, path="/home/x/checkpoints/40", seconds=0.25),
        "checkpoint of step 40 in 0.2 s: /home/x/checkpoints/40",
    ),
    (
        FellBehind(outer_steps=1234),
        "catching up: 1,234 outer steps behind; fetching what the others have",
    ),
    (
        CaughtUp(outer_steps=1234, seconds=125),
        "caught up with 1,234 outer steps, in 2 min 5 s",
    ),
    (
        StayedBehind(outer_steps=1234, reason="paused meanwhile"),
        "still 1,234 outer steps behind, goes on with what it has: paused meanwhile",
    ),
    (NoDonor(), "nobody has a state to give; training starts from the run's seed"),
    (
        VotesEqual(partner=PEER, votes=1200, voters=3),
        "the same 1,200 votes of 3 voters as 12D3..aB3f",
    ),
    (CheckpointFailed(inner_step=40, reason="disk full"), "NO CHECKPOINT of step 40: disk full"),
    (ShareFailed(outer_step=3, reason="disk full"), "NOTHING TO SHARE of outer step 3: disk full"),
    (
        ShareReady(outer_step=2, inner_step=40, codec="int8", size=1_200_000, loss=2.31),
        "outer step 2 (step 40, loss 2.310): shares 1.2 MB as int8",
    ),
    (
        ExchangeDone(
            partner=PEER,
            seconds=0.84,
            bytes_in=600_000,
            bytes_out=610_000,
            distance=1e-3,
            relative_distance=0.0123,
            outer_step=2,
            initiated=True,
        ),
        "exchange with 12D3..aB3f: 1.2 MB in 0.8 s, 1.23% apart",
    ),
    (
        ExchangeFailed(partner=PEER, outer_step=2, reason="not done after 5.0 s"),
        "exchange with 12D3..aB3f failed: not done after 5.0 s",
    ),
    (
        MixRefused(partner=PEER, outer_step=2, reason="not finite"),
        "refused what 12D3..aB3f shared: not finite",
    ),
    (
        Skipped(outer_step=3, reason="everybody is busy"),
        "outer step 3 skipped its mix: everybody is busy",
    ),
    (StateServed(peer=PEER, size=4_000_000), "gave newcomer 12D3..aB3f our state, 4.0 MB"),
    (
        StateFetched(peer=PEER, size=4_000_000, seconds=2.0, inner_step=400),
        "got the state of step 400 from 12D3..aB3f: 4.0 MB in 2.0 s",
    ),
    (
        LaneFailed(peer=PEER, reason="no answer on port 4002 in 3 s"),
        "no fast lane to 12D3..aB3f, its shares come through libp2p: no answer on port 4002 in 3 s",
    ),
    (
        StateFetched(peer=PEER, size=4_000_000, seconds=2.0, inner_step=400, donors=(PEER, "12D3KooWab")),
        "got the state of step 400 from 12D3..aB3f, 12D3KooWab: 4.0 MB in 2.0 s",
    ),
    (
        StateComing(size=4_000_000, received=1_000_000, rate=250_000.0, donors=3),
        "fetching the state: 1.0 MB of 4.0 MB at 250.0 kB/s from 3 donors",
    ),
    (
        StateRefused(donors=(PEER,), reason="the loss is nan"),
        "refused the state that came from 12D3..aB3f: the loss is nan",
    ),
    (
        SinkFailed(sink="TensorBoard", reason="OSError: [Errno 28] No space left on device"),
        "nothing more goes to TensorBoard: OSError: [Errno 28] No space left on device",
    ),
    (
        TrainerStarted(
            device="cpu", parameters=1000, inner_step=0, resumed=False, name="Apple M2", unused="mps"
        ),
        "trainer started at step 0 on cpu (Apple M2), 1,000 parameters; this Mac has a GPU: --device mps",
    ),
    (Stopped(reason="asked to", inner_step=500), "stopped at step 500: asked to"),
    (Stopped(reason="SIGINT", inner_step=500), "stopped at step 500: Ctrl-C"),
]


@pytest.mark.parametrize(("event", "line"), LINES)
def test_each_event_is_one_line_for_a_person(event, line):
    assert event.describe() == line


def test_what_will_be_used_stands_in_a_block_of_80_columns():
    assert WILL_USE.block() == (
        "memory:    about 4.5 GB for the model, beside program and batch",
        "disk:      123.0 GB free; its checkpoints take up to 3.4 GB",
        "network:   1.3 GB to fetch first: what the others have learned",
        "at most:   what it needs: no limit is set",
        "pauses:    outside mon-fri 19:00-07:00, sat-sun; on battery; while",
        "           others use the GPU",
        "change it: peer limits --help",
    )


def test_what_is_used_stands_below_it():
    assert USES.block() == (
        "memory:    about 4.5 GB for the model, beside program and batch",
        "batch:     8 sequences of 256 tokens an inner step",
        "network:   0.10 Mbit/s each way on average: 31.2 GB a month",
    )


@pytest.mark.parametrize(
    ("ranks", "micro_batch", "how"),
    [
        (1, 8, ""),
        (1, 3, ", 3 at a time"),
        (2, None, ", 4 on each device"),
        (2, 1, ", 4 on each device, 1 at a time"),
    ],
)
def test_how_a_batch_passes_is_said_with_it(ranks, micro_batch, how):
    used = msgspec.structs.replace(USES, ranks=ranks, micro_batch=micro_batch)
    said = " ".join(" ".join(used.block()).split())
    assert f"batch: 8 sequences of 256 tokens an inner step{how} network:" in said
    assert ("program and batch on each device batch:" in said) is (ranks > 1)
    assert used.describe().endswith(" each") is (ranks > 1)


@pytest.mark.parametrize(
    ("told", "changes", "line"),
    [
        (USES, {"month_bytes": 0.0}, "network:   nothing to exchange: the run is for one alone"),
        (USES, {"month_bytes": None}, "network:   votes of a few bytes"),
        (USES, {"month_bytes": 1e9}, "network:   under 0.01 Mbit/s each way on average: 1.0 GB a month"),
        (USES, {"month_bytes": 1e13}, "network:   30.9 Mbit/s each way on average: 10.0 TB a month"),
        (USES, {"context": 0}, "batch:     8 examples an inner step"),
        (USES, {"device": "cpu,cpu", "ranks": 2}, "memory:    4.5 GB now"),
        (WILL_USE, {"disk_free": None}, "disk:      its checkpoints take up to 3.4 GB"),
        (WILL_USE, {"caps": ("10 Mbit/s up", "20.0 GB of disk")}, "at most:   10 Mbit/s up; 20.0 GB of disk"),
        (WILL_USE, {"pauses": ()}, "pauses:    only when it is told to"),
        (WILL_USE, {"pauses": ("outside \x1b[31m",)}, "pauses:    outside ?[31m"),
    ],
)
def test_a_line_of_the_block_says_what_is_known(told, changes, line):
    block = msgspec.structs.replace(told, **changes).block()
    assert line in block
    assert all(len(each) <= 71 for each in block)


@pytest.mark.parametrize(
    ("told", "unknown", "row"), [(USES, "taken", "memory"), (WILL_USE, "fetched", "network")]
)
def test_what_is_not_known_has_no_line(told, unknown, row):
    assert row not in " ".join(msgspec.structs.replace(told, **{unknown: None}).block())


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"device": "mps", "name": "Apple M2 GPU", "memory": None}, "uses mps, Apple M2 GPU"),
        ({"device": "cpu", "name": ""}, "uses cpu with 25.4 GB of memory"),
        (
            {"device": "cpu,cpu", "name": "Xeon", "ranks": 2},
            "uses cpu,cpu, Xeon with 25.4 GB of memory",
        ),
        (
            {"device": "cuda:0,cuda:1", "name": "2 x A40", "ranks": 2},
            "uses cuda:0,cuda:1, 2 x A40 with 25.4 GB of memory each",
        ),
    ],
)
def test_a_device_is_told_as_far_as_it_is_known(changes, line):
    assert msgspec.structs.replace(USES, **changes).describe() == line


def test_a_device_that_was_asked_for_is_named_before_it_is_used():
    assert msgspec.structs.replace(WILL_USE, device="cuda:1").describe() == "will train on cuda:1"


def test_every_kind_of_event_is_described_here_and_read_from_the_log():
    kinds = set(Event.__subclasses__())
    assert {type(event) for event, _ in LINES} == kinds
    assert set(get_args(AnyEvent)) == kinds


@pytest.mark.parametrize("event", [event for event, _ in LINES])
def test_each_event_survives_the_log(event):
    data = msgspec.json.encode(event)
    assert msgspec.json.decode(data, type=AnyEvent) == event
    assert set(msgspec.json.decode(data)) == {"event", *type(event).__struct_fields__}


def test_kinds_are_named_in_words_with_underscores():
    assert msgspec.to_builtins(NoLongerAlone(time=0.0, seconds=1.0)) == {
        "event": "no_longer_alone",
        "time": 0.0,
        "seconds": 1.0,
    }


def test_a_strangers_words_cannot_leave_their_line():
    event = ExchangeFailed(partner=PEER, outer_step=1, reason="no\n12:00:00 peer is rich\x1b[1A")
    assert event.describe().isprintable()
