"""A port of the home router that leads here, asked for by UPnP and given back in the end."""

from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import Any

import trio

LEASE = 3600
"""Seconds for which a port is asked: a peer that is killed leaves nothing behind for longer."""

DISCOVERY = 2000
"""Milliseconds that a router has to answer."""

ATTEMPTS = 4
"""Ports outside that are tried: ours first, which another machine of the house may have."""

CLOSING = 5.0
"""Seconds that giving back may take."""


class RouterPort:
    """See `peer.swarm.reachability.PortMapper`.

    `miniupnpc` talks to the router in a thread, for some seconds. A router that breaks off costs the mapping.
    """

    def __init__(self) -> None:
        self._router: Any = None
        self._outside: tuple[str, int] | None = None

    async def open(self, port: int) -> str | None:
        """Return the address outside that leads to `port` here, or None.

        None also where the router has itself no address of the internet: it is behind another.
        """
        self._outside = await _in_thread(partial(self._open, port))
        if self._outside is None:
            return None
        host, mapped = self._outside
        return f"/ip4/{host}/tcp/{mapped}"

    def _open(self, port: int) -> tuple[str, int] | None:
        if self._router is None:
            self._router = _find_router()
        router = self._router
        if router is None:
            return None
        try:
            host = router.externalipaddress()
            if not host or not ip_address(host).is_global:
                return None
            held = () if self._outside is None else (self._outside[1],)
            for outside in (*held, *range(port, min(port + ATTEMPTS, 65536))):
                if _map(router, outside, port):
                    return host, outside
        except Exception:  # noqa: BLE001 - it raises whatever; the router may have been replaced
            self._router = None
        return None

    async def close(self) -> None:
        """Give the port back. Never raises."""
        if self._outside is None or self._router is None:
            return
        _, mapped = self._outside
        self._outside = None
        with trio.CancelScope(shield=True), trio.move_on_after(CLOSING):
            await _in_thread(partial(_unmap, self._router, mapped))


def _find_router() -> Any:  # noqa: ANN401 - the package has no types
    import miniupnpc

    router = miniupnpc.UPnP()
    router.discoverdelay = DISCOVERY
    try:
        if not router.discover():
            return None
        router.selectigd()
    except Exception:  # noqa: BLE001 - it raises Exception itself
        return None
    return router


def _map(router: Any, outside: int, inside: int) -> bool:  # noqa: ANN401
    try:
        return bool(router.addportmapping(outside, "TCP", router.lanaddr, inside, "murmuration", "", LEASE))
    except Exception:  # noqa: BLE001 - taken by another machine, or not allowed
        return False


def _unmap(router: Any, outside: int) -> None:  # noqa: ANN401
    with suppress(Exception):  # it lapses after LEASE
        router.deleteportmapping(outside, "TCP")


async def _in_thread(act: Any) -> Any:  # noqa: ANN401
    # The stubs that libp2p brings know an older name.
    return await trio.to_thread.run_sync(act, abandon_on_cancel=True)  # type: ignore[call-arg]
