"""A small HTTP server for local readers: one GET a connection, everything bounded."""

import errno
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import h11
import trio

from peer.errors import ListenError

DEADLINE = 10.0
"""Seconds that a client may take for its request and our answer together: Prometheus's own time-out."""

MAX_REQUEST = 16 * 1024
"""Bytes of a request's line and headers."""

MAX_CONNECTIONS = 32
"""Clients at once. More are cut off: a client that opens many must not take the daemon's file descriptors."""

_OF_THE_PORT = (errno.EADDRINUSE, errno.EACCES)
"""Why a port cannot be had at an address that is ours."""

_READ = 4096
_DRAIN = 64 * 1024

_Stream = trio.abc.HalfCloseableStream


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; `body` is UTF-8 unless `content_type` says otherwise."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Routes = Mapping[str, Callable[[], Response]]
"""What to answer for each path. Called in the event loop, so each must return within milliseconds."""


@dataclass(frozen=True, slots=True)
class HttpStatistics:
    """Connections since the start."""

    answered: int
    """Responses sent whole, errors included."""
    too_slow: int
    """Clients that did not finish before the deadline."""
    too_many: int
    """Clients cut off because others held every place."""
    failures: int
    """Routes that raised: bugs of ours."""


class HttpServer:
    """Answers GET on a few paths, and nothing else."""

    def __init__(
        self, routes: Routes, *, deadline: float = DEADLINE, max_connections: int = MAX_CONNECTIONS
    ) -> None:
        self._routes = routes
        self._deadline = deadline
        self._max_connections = max_connections
        self._active = 0
        self._answered = self._too_slow = self._too_many = self._failures = 0

    async def serve(self, listeners: Sequence[trio.SocketListener]) -> None:
        """Serve until cancelled."""
        await trio.serve_listeners(self.handle, listeners)

    async def handle(self, stream: _Stream) -> None:
        """Serve one connection and close it. Never raises but for cancellation."""
        if self._active >= self._max_connections:
            self._too_many += 1
            await trio.aclose_forcefully(stream)
            return
        self._active += 1
        try:
            with trio.move_on_after(self._deadline) as limit:
                await self._converse(stream)
            self._too_slow += limit.cancelled_caught
        finally:
            self._active -= 1
            await trio.aclose_forcefully(stream)

    async def _converse(self, stream: _Stream) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_REQUEST)
        # A client that goes away early has no use for an answer.
        with suppress(trio.BrokenResourceError):
            try:
                request = await _receive_request(connection, stream)
            except h11.RemoteProtocolError as error:
                response = Response(error.error_status_hint, b"bad request\n")
            else:
                if request is None:
                    return
                response = self._answer(request)
            await _send(connection, stream, response)
            self._answered += 1
            await _drain(stream)

    def _answer(self, request: h11.Request) -> Response:
        if request.method != b"GET":
            # An answer to HEAD has no body.
            return Response(405, b"" if request.method == b"HEAD" else b"only GET\n")
        route = self._routes.get(request.target.partition(b"?")[0].decode("ascii"))
        if route is None:
            return Response(404, f"not here; try {' or '.join(self._routes)}\n".encode())
        try:
            return route()
        except Exception:  # noqa: BLE001 - a bug in a metric must not end the training
            self._failures += 1
            return Response(500, b"this is a bug\n")

    def statistics(self) -> HttpStatistics:
        """Return the counters since the start."""
        return HttpStatistics(self._answered, self._too_slow, self._too_many, self._failures)


@asynccontextmanager
async def listening(host: str, port: int) -> AsyncIterator[Sequence[trio.SocketListener]]:
    """Listen at all addresses of a host until the end: clients wait until they are served.

    Where `port` is 0, the system chooses one, and only one address is listened at.

    Raises:
        ListenError: the address is taken, or not ours.
    """
    listeners = await _bind(host, port)
    try:
        yield listeners
    finally:
        for listener in listeners:
            await trio.aclose_forcefully(listener)


def port_of(listeners: Sequence[trio.SocketListener]) -> int:
    """Return the port that was bound."""
    port: int = listeners[0].socket.getsockname()[1]
    return port


async def _bind(host: str, port: int) -> list[trio.SocketListener]:
    try:
        listeners = list(await trio.open_tcp_listeners(port, host=host))
    except OSError as error:
        raise ListenError(
            f"Cannot serve metrics on {host}:{port}: {error.strerror or error}",
            "Choose a free port, or 0 for any"
            if error.errno in _OF_THE_PORT
            else "Name an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all",
        ) from error
    if port:
        return listeners
    # Each address of a name would get a port of its own, and only one can be reported.
    for listener in listeners[1:]:
        await listener.aclose()
    return listeners[:1]


async def _receive_request(connection: h11.Connection, stream: _Stream) -> h11.Request | None:
    """Return the request, or None where the client left without one. Its body, if any, is not read."""
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await stream.receive_some(_READ))
    return event if isinstance(event, h11.Request) else None


async def _send(connection: h11.Connection, stream: _Stream, response: Response) -> None:
    headers = [
        ("Content-Type", response.content_type),
        ("Content-Length", str(len(response.body))),
        ("Connection", "close"),
    ]
    if response.status == 405:
        headers.append(("Allow", "GET"))
    parts = (
        h11.Response(status_code=response.status, headers=headers),
        h11.Data(data=response.body),
        h11.EndOfMessage(),
    )
    await stream.send_all(b"".join(connection.send(part) or b"" for part in parts))
    await stream.send_eof()


async def _drain(stream: _Stream) -> None:
    """Read what the client still sends: closing with bytes unread resets the connection and loses ours."""
    for _ in range(_DRAIN // _READ):
        if not await stream.receive_some(_READ):
            return
