"""The server over real loopback sockets, and over memory streams where time matters."""

import socket
from contextlib import suppress

import h11
import pytest
import trio
import trio.testing
from hypothesis import example, given
from hypothesis import strategies as st

from peer.errors import Exit, ListenError
from peer.telemetry.http import MAX_REQUEST, HttpServer, HttpStatistics, Response, listening, port_of

pytestmark = pytest.mark.anyio

HOST = "127.0.0.1"
GET = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
BIG = b"x" * 5_000_000


def _broken():
    raise ZeroDivisionError


ROUTES = {
    "/hello": lambda: Response(200, b"hello\n"),
    "/big": lambda: Response(200, BIG),
    "/broken": _broken,
}


async def _read_all(stream: trio.abc.ReceiveStream) -> bytes:
    data = b""
    while chunk := await stream.receive_some(65536):
        data += chunk
    return data


async def _ask(port: int, request: bytes) -> bytes:
    async with await trio.open_tcp_stream(HOST, port) as stream:
        await stream.send_all(request)
        return await _read_all(stream)


async def _read_until_cut(stream: trio.abc.ReceiveStream) -> bytes:
    """Read until the other side closes or resets the connection."""
    try:
        return await _read_all(stream)
    except trio.BrokenResourceError:
        return b""


async def _serve(server, host=HOST, port=0, *, task_status=trio.TASK_STATUS_IGNORED):
    async with listening(host, port) as listeners:
        task_status.started(port_of(listeners))
        await server.serve(listeners)


@pytest.fixture
async def serving():
    async with trio.open_nursery() as nursery:
        server = HttpServer(ROUTES)
        port = await nursery.start(_serve, server)
        yield server, port
        nursery.cancel_scope.cancel()


async def test_a_known_path_is_answered_and_the_connection_closed(serving):
    server, port = serving
    assert await _ask(port, GET) == (
        b"HTTP/1.1 200 \r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n"
        b"Connection: close\r\n\r\nhello\n"
    )
    assert server.statistics() == HttpStatistics(answered=1, too_slow=0, too_many=0, failures=0)


async def test_a_request_may_come_byte_by_byte(serving):
    _, port = serving
    async with await trio.open_tcp_stream(HOST, port) as stream:
        for byte in GET:
            await stream.send_all(bytes([byte]))
        assert (await _read_all(stream)).endswith(b"hello\n")


async def test_a_large_answer_comes_whole(serving):
    _, port = serving
    assert (await _ask(port, GET.replace(b"hello", b"big"))).endswith(BIG)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GET.replace(b"/hello", b"/hello?name=x"), 200),
        (GET.replace(b"HTTP/1.1", b"HTTP/1.0"), 200),
        (GET.replace(b"/hello", b"/"), 404),
        (GET.replace(b"/hello", b"/../etc/passwd"), 404),
        (GET.replace(b"/hello", b"http://x/hello"), 404),
        (GET.replace(b"GET", b"HEAD"), 405),
        (GET.replace(b"GET", b"POST"), 405),
        (b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n" + b"x" * 9999, 405),
        (b"GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 200),
        (b"GET /hello HTTP/1.1\r\n\r\n", 400),
        (b"GET /h\xffllo HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 405),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (GET[:-2] + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n", 200),
        (GET[:-2] + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 200),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"\r\n\r\n\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * (MAX_REQUEST + 1), 431),
        (GET.replace(b"hello", b"broken"), 500),
    ],
)
async def test_every_request_gets_its_status(serving, request_, status):
    _, port = serving
    answer = await _ask(port, request_)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


async def test_another_method_is_told_which_is_allowed(serving):
    _, port = serving
    assert b"Allow: GET\r\n" in await _ask(port, GET.replace(b"GET", b"PUT"))


async def test_a_route_that_raises_costs_an_answer_and_nothing_more(serving):
    server, port = serving
    await _ask(port, GET.replace(b"hello", b"broken"))
    assert (await _ask(port, GET)).endswith(b"hello\n")
    assert server.statistics().failures == 1


async def test_a_client_that_leaves_early_is_no_trouble(serving):
    server, port = serving
    for request in (b"", b"GET /he", GET.replace(b"hello", b"big")):
        stream = await trio.open_tcp_stream(HOST, port)
        await stream.send_all(request)
        linger = b"\x01\0\0\0\0\0\0\0"  # on, 0 s: closing resets the connection
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await stream.aclose()
    assert (await _ask(port, GET)).endswith(b"hello\n")
    assert server.statistics().answered >= 1


async def test_a_client_that_closes_its_side_still_gets_its_answer(serving):
    _, port = serving
    async with await trio.open_tcp_stream(HOST, port) as stream:
        await stream.send_all(GET)
        await stream.send_eof()
        assert (await _read_all(stream)).endswith(b"hello\n")


async def test_a_half_open_client_is_cut_off_at_the_deadline():
    async with trio.open_nursery() as nursery:
        server = HttpServer(ROUTES, deadline=0.05)
        port = await nursery.start(_serve, server)
        async with await trio.open_tcp_stream(HOST, port) as stream:
            await stream.send_all(b"GET /hello HTTP/1.1\r\n")
            assert await _read_until_cut(stream) == b""
        assert server.statistics().too_slow == 1
        nursery.cancel_scope.cancel()


async def test_clients_beyond_the_bound_are_cut_off_and_the_others_served():
    async with trio.open_nursery() as nursery:
        server = HttpServer(ROUTES, max_connections=2)
        port = await nursery.start(_serve, server)
        first = await trio.open_tcp_stream(HOST, port)
        second = await trio.open_tcp_stream(HOST, port)
        third = await trio.open_tcp_stream(HOST, port)
        assert await _read_until_cut(third) == b""
        for stream in (first, second):
            await stream.send_all(GET)
            assert (await _read_all(stream)).endswith(b"hello\n")
            await stream.aclose()
        await third.aclose()
        assert server.statistics().too_many == 1
        nursery.cancel_scope.cancel()


async def test_a_taken_port_is_refused(serving):
    _, port = serving
    with pytest.raises(ListenError, match=f"Cannot serve metrics on {HOST}:{port}.* free port") as caught:
        await _serve(HttpServer(ROUTES), HOST, port)
    assert caught.value.code == Exit.LISTEN_FAILED


@pytest.mark.parametrize("host", ["203.0.113.1", "no such host"])
async def test_an_address_that_is_not_ours_is_refused_and_no_port_blamed(host):
    with pytest.raises(ListenError, match=f"Cannot serve metrics on {host}:0: .* an address of this machine"):
        await _serve(HttpServer(ROUTES), host)


async def test_a_name_with_two_addresses_gets_one_port():
    async with trio.open_nursery() as nursery:
        port = await nursery.start(_serve, HttpServer(ROUTES), "localhost")
        async with await trio.open_tcp_stream("localhost", port) as stream:
            await stream.send_all(GET)
            assert (await _read_all(stream)).endswith(b"hello\n")
        nursery.cancel_scope.cancel()


class TestOnAVirtualClock:
    @pytest.fixture
    def anyio_backend(self):
        return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})

    @pytest.mark.parametrize("period", [0.1, 1.0, 100.0])
    async def test_a_client_that_drips_is_cut_off_as_one_that_is_silent(self, period):
        server = HttpServer(ROUTES, deadline=10.0)
        ours, theirs = trio.testing.memory_stream_pair()

        async def drip():
            with suppress(trio.BrokenResourceError):
                while True:
                    await theirs.send_all(b"x")
                    await trio.sleep(period)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            await server.handle(ours)
            assert trio.current_time() == pytest.approx(10.0)
        assert server.statistics().too_slow == 1

    async def test_a_client_that_reads_nothing_is_cut_off(self):
        server = HttpServer(ROUTES, deadline=10.0)
        ours, theirs = trio.testing.lockstep_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(theirs.send_all, GET)
            await server.handle(ours)
        assert trio.current_time() == pytest.approx(10.0)
        assert server.statistics() == HttpStatistics(answered=0, too_slow=1, too_many=0, failures=0)

    async def test_a_client_that_sends_more_than_is_read_still_gets_its_answer(self):
        server = HttpServer(ROUTES, deadline=10.0)
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.send_all(GET + b"x" * 1_000_000)
        await server.handle(ours)
        assert trio.current_time() == 0.0
        connection = h11.Connection(h11.CLIENT)
        connection.send(h11.Request(method="GET", target="/hello", headers=[("Host", "x")]))
        connection.send(h11.EndOfMessage())
        connection.receive_data(await theirs.receive_some(65536))
        answer = connection.next_event()
        assert isinstance(answer, h11.Response)
        assert answer.status_code == 200


_PIECES = st.sampled_from(
    b"GET|HEAD| |/hello|/broken|HTTP/1.1|\r\n|\r\n\r\n|Host: x|Content-Length: 3|Transfer-Encoding: chunked"
    b"|Connection: keep-alive|Expect: x|\0|\xff".split(b"|")
)


@example(GET.replace(b"GET", b"HEAD"))
@given(st.lists(_PIECES | st.binary(max_size=8)).map(b"".join))
def test_no_bytes_end_the_server(request_):
    async def talk():
        server = HttpServer(ROUTES)
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.send_all(request_)
        await theirs.send_eof()
        await server.handle(ours)
        answer = await _read_all(theirs)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 ")

    trio.run(talk)
