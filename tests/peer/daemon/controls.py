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
from protocol.control import Status

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


def status(**changes: Any) -> Status:
    return msgspec.structs.replace(STATUS, **changes)


def commands(
    tell: Callable[[], Status] = lambda: STATUS,
    stop: Callable[[], None] = lambda: None,
    asked: Callable[[str], None] = lambda _: None,
) -> Commands:
    """What a server may be asked for; `asked` hears the rest in words."""
    return Commands(
        status=tell,
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
    asked: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    """Serve at `path` while it lasts, in a thread of its own as a daemon is in a process of its own."""
    listening, ended = threading.Event(), trio.Event()
    tokens: list[trio.lowlevel.TrioToken] = []

    async def serve() -> None:
        server = ControlServer(path, commands(tell, stop, asked))
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
