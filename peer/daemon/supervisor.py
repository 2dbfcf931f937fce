"""The supervisor: owns the nursery, starts everything that one peer runs, and ends it in order."""

import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version

import trio

from peer.config.run_file import read_run_file
from peer.daemon import disk
from peer.daemon.control import Commands, ControlServer
from peer.daemon.detail import Details
from peer.daemon.founding import settle
from peer.daemon.home import Home
from peer.daemon.limits_file import read_limits
from peer.daemon.manager import READY, STOPPING, keep_alive, tell_manager
from peer.daemon.node import Node
from peer.daemon.recorder import Recorder, check_extras, open_sinks
from peer.daemon.runtime import Runtime
from peer.daemon.settings import Settings, recall
from peer.daemon.snapshot import open_metrics, serve_metrics
from peer.daemon.trained_on import check_device
from peer.errors import HomeError, ListenError
from peer.swarm.bulk import open_bulk
from peer.swarm.libp2p_host import check_bootstraps, hosts_of, open_transport
from peer.swarm.line import Line
from peer.swarm.rate import FOR_OTHERS, RateLimit
from peer.swarm.transport import Transport
from peer.telemetry import events
from peer.telemetry.event_file import EventFile
from peer.telemetry.log import Log
from protocol.identity import Identity


async def run_daemon(settings: Settings) -> None:
    """Run one peer until it has made its steps, or is told to leave.

    Raises:
        PeerError: it cannot start, or cannot go on; perhaps inside an exception group.
    """
    if settings.run_file is not None:
        # A mistake in it is told before anything is made or announced.
        read_run_file(settings.run_file)
    check_bootstraps(settings.bootstraps)
    check_extras(settings)
    async with trio.open_nursery() as nursery:
        leaving = Leaving(nursery.cancel_scope)
        nursery.start_soon(_watch_signals, leaving)
        nursery.start_soon(keep_alive)
        if settings.stop_on_eof:
            nursery.start_soon(_watch_input, leaving)
        await _run(settings, leaving)
        nursery.cancel_scope.cancel()


class Leaving:
    """Passes on the wish that the daemon leave: before there is a node, by ending everything at once."""

    def __init__(self, scope: trio.CancelScope) -> None:
        self._scope = scope
        self.node: Node | None = None

    def __call__(self, reason: str) -> None:
        """Leave, because of `reason`."""
        tell_manager(STOPPING)
        if self.node is None:
            self._scope.cancel()
        else:
            self.node.stop(reason)


async def _run(settings: Settings, leaving: Leaving) -> None:
    await check_device(settings.home, settings.device)
    with (
        Home.open(settings.home) as home,
        Runtime.open(home.path) as runtime,
        _open_events(home) as file,
    ):
        identity = home.identity()
        log = Log(file, sys.stderr, settings.log_format)
        # A mistake in the limits is told before anybody is called; from then on the governor sees to them.
        limits = read_limits(home.path)
        relay = RateLimit(FOR_OTHERS)
        # A port that is refused is told before a run is founded.
        async with (
            open_metrics(settings.metrics_host, settings.metrics_port) as for_metrics,
            _listen(settings, home, identity, relay) as transport,
        ):
            log(
                events.Started(
                    peer_id=identity.peer_id,
                    version=version("murmuration-peer"),
                    addresses=transport.addresses,
                )
            )
            run = await settle(home, identity, transport, settings)
            manifest = run.manifest
            log(events.Joined(run_id=run.run_id.hex(), run_name=manifest.name, preset=manifest.outer.preset))
            if (short := disk.short(home.path, manifest, limits.disk)) is not None:
                log(short)
            async with _line(settings, identity, transport, relay, log) as line:
                node = Node(settings, home, runtime, identity, transport, run, log, line)
                leaving.node = node
                _print_joining_command(transport, people_read=settings.log_format == "text")
                await _supervise(node, settings, runtime, log, for_metrics)


def _open_events(home: Home) -> EventFile:
    try:
        return EventFile(home.events)
    except OSError as error:
        raise HomeError(
            f"Cannot use {home.events}: {error.strerror}", "Mend its permissions, or name another --home"
        ) from error


@asynccontextmanager
async def _listen(
    settings: Settings, home: Home, identity: Identity, relay: RateLimit
) -> AsyncIterator[Transport]:
    """Listen where asked, or on the port of last time, or on any."""
    port = recall(home.path).port or 0
    opening = partial(
        open_transport,
        identity,
        announce=settings.announce,
        announce_loopback=settings.announce_loopback,
        relay_rate=relay,
    )
    async with AsyncExitStack() as stack:
        try:
            transport = await stack.enter_async_context(opening(settings.listen or (_everywhere(port),)))
        except ListenError:
            if settings.listen or not port:
                raise
            # Somebody else has our old port now. Caches and forwardings that name it were worth the try.
            transport = await stack.enter_async_context(opening((_everywhere(0),)))
        yield transport


@asynccontextmanager
async def _line(
    settings: Settings, identity: Identity, transport: Transport, relay: RateLimit, log: Log
) -> AsyncIterator[Line]:
    """Answer lanes at the hosts of the main listener."""
    hosts = hosts_of(settings.listen or (_everywhere(0),))

    def failed(peer_id: str, reason: str) -> None:
        log(events.LaneFailed(peer=peer_id, reason=reason))

    port, host_of = settings.bulk_port, transport.direct_host
    async with open_bulk(identity.peer_id, hosts, port, host_of, failed) as bulk:
        yield Line(bulk, RateLimit(settings.upload_limit), RateLimit(settings.download_limit), relay)


def _everywhere(port: int) -> str:
    return f"/ip4/0.0.0.0/tcp/{port}"


def _print_joining_command(transport: Transport, *, people_read: bool) -> None:
    """Print what a second machine types, on a line of its own on standard output, for people and programs."""
    if transport.addresses:
        if people_read:
            print("another peer joins with:", file=sys.stderr, flush=True)
        print(f"peer start --bootstrap {transport.addresses[0]}", flush=True)
    else:
        hint = "give one with --announce, or use --announce-loopback for peers on this machine"
        print(f"peer: no address that others could dial is known; {hint}", file=sys.stderr)


async def _supervise(
    node: Node,
    settings: Settings,
    runtime: Runtime,
    log: Log,
    for_metrics: Sequence[trio.SocketListener],
) -> None:
    commands = Commands(
        status=node.status,
        detail=Details(node, settings.home),
        stop=node.stop,
        finish=node.finish,
        pause=node.pausing.by_hand,
        resume=node.pausing.resume,
    )
    control = ControlServer(runtime.control, commands)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(control.run)
        nursery.start_soon(serve_metrics, node, settings.metrics_host, for_metrics)
        recorder = Recorder(node, open_sinks(settings, node, settings.home), log)
        nursery.start_soon(recorder.run)
        tell_manager(READY)
        await node.run()
        await recorder.finish()
        nursery.cancel_scope.cancel()


async def _watch_signals(leaving: Leaving) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async for number in signals:
            leaving(signal.Signals(number).name)


async def _watch_input(leaving: Leaving) -> None:
    """Leave when whoever started us, and holds the other end of our standard input, is gone."""
    async with trio.lowlevel.FdStream(sys.stdin.fileno()) as stdin:
        while await stdin.receive_some(4096):
            pass
    leaving("standard input ended")
