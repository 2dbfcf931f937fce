"""A control socket without a daemon: the real server in a thread, and one that says what it is told."""

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio

from peer.daemon.control import Commands, ControlServer
from protocol.control import Detail, Exchanged, Link, Status, Transfer

STATUS = Status(
    peer_id="12D3KooWEfY2TmhEWp1scTkNTgGcB6sBdaeicFJXJjeBmUpFMyg8",
    run_id="00" * 32,
    run_name="tiny",
    state="training",
    pid=1234,
    trainer_pid=1235,
    device="cpu",
    preset="noloco",
    codec="int8",
    inner_step=120,
    outer_step=6,
    tokens=122_880,
    loss=2.5,
    tokens_per_second=12_345.6,
    exchanges=5,
    skips=1,
    partner=None,
    bytes_in=1_000_000,
    bytes_out=2_000_000,
    lane_bytes_out=1_900_000,
    peers_in_view=3,
    alone_seconds=0.0,
    addresses=("/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWEfY2TmhEWp1scTkNTgGcB6sBdaeicFJXJjeBmUpFMyg8",),
    trainer_restarts=0,
    metrics="http://127.0.0.1:9464/metrics",
)


PARTNER = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6aB3f"

DETAIL = Detail(
    status=STATUS,
    time=1_790_000_000.0,
    uptime=725.0,
    every=20,
    next_boundary=4.2,
    seconds_per_step=0.25,
    learning_rate=1e-3,
    losses=tuple((step, 2.5 + 3 / step) for step in range(1, 121)),
    recent=(
        Exchanged(
            time=1_789_999_990.0,
            partner=PARTNER,
            result="done",
            reason="",
            seconds=0.84,
            bytes_in=600_000,
            bytes_out=610_000,
            relative_distance=0.0123,
            outer_step=5,
            fragment=0,
        ),
        Exchanged(
            time=1_789_999_997.0,
            partner=STATUS.peer_id,
            result="failed",
            reason="not done after 30.0 s",
            seconds=30.0,
            bytes_in=0,
            bytes_out=0,
            relative_distance=None,
            outer_step=6,
            fragment=0,
        ),
    ),
    failed=1,
    refused=0,
    links=(
        Link(
            peer=PARTNER, way="direct", lanes=2, rate_in=1.2e6, rate_out=2.4e6, round_trip=0.012, avoided=0.0
        ),
        Link(
            peer=STATUS.peer_id,
            way="relayed",
            lanes=0,
            rate_in=None,
            rate_out=None,
            round_trip=None,
            avoided=9.0,
        ),
    ),
    transfers=(Transfer(peer=PARTNER, outward=False, size=4_000_000, moved=1_000_000, seconds=2.0),),
    disk_free=123_000_000_000,
    splits=0,
    torn=False,
)


def detail(**changes: Any) -> Detail:
    """A detail in which fields of its status may be changed as well."""
    inside = {name: changes.pop(name) for name in list(changes) if name in Status.__struct_fields__}
    return msgspec.structs.replace(DETAIL, status=status(**inside), **changes)


def status(**changes: Any) -> Status:
    return msgspec.structs.replace(STATUS, **changes)


def commands(
    tell: Callable[[], Status] = lambda: STATUS,
    stop: Callable[[], None] = lambda: None,
    asked: Callable[[str], None] = lambda _: None,
    show: Callable[[], Detail] = lambda: DETAIL,
) -> Commands:
    """What a server may be asked for; `asked` hears the rest in words."""
    return Commands(
        status=tell,
        detail=show,
        stop=stop,
        finish=lambda: asked("finish"),
        pause=lambda reason: asked(f"pause {reason!r}"),
        resume=lambda: asked("resume"),
    )


@contextmanager
def socket_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket, as pytest's own may not be."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@contextmanager
def serving(
    path: Path,
    tell: Callable[[], Status] = lambda: STATUS,
    stop: Callable[[], None] = lambda: None,
    show: Callable[[], Detail] = lambda: DETAIL,
    asked: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    """Serve at `path` while it lasts, in a thread of its own as a daemon is in a process of its own."""
    listening, ended = threading.Event(), trio.Event()
    tokens: list[trio.lowlevel.TrioToken] = []

    async def serve() -> None:
        server = ControlServer(path, commands(tell, stop, asked, show))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run)
            await server.serving.wait()
            tokens.append(trio.lowlevel.current_trio_token())
            listening.set()
            await ended.wait()
            nursery.cancel_scope.cancel()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    assert listening.wait(30)
    try:
        yield
    finally:
        trio.from_thread.run_sync(ended.set, trio_token=tokens[0])
        thread.join()


@contextmanager
def saying(path: Path, said: bytes) -> Iterator[None]:
    """Accept one caller at `path`, hear it once, say `said`, and hang up when this ends."""
    over = threading.Event()

    def answer() -> None:
        caller, _ = listener.accept()
        with caller:
            caller.recv(4096)
            caller.sendall(said)
            caller.shutdown(socket.SHUT_WR)
            over.wait(30)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
