"""Tells the service manager that started us how the daemon is: systemd's datagrams, sd_notify(3)."""

import os
import socket
from contextlib import suppress

import trio

READY = "READY=1"
STOPPING = "STOPPING=1"
ALIVE = "WATCHDOG=1"


def tell_manager(state: str) -> None:
    """Send one state: to nobody where no manager started us; one that does not listen holds nothing up."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0)
        # @ stands for the zero byte that begins an abstract name.
        sender.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)


async def keep_alive() -> None:
    """Say that the event loop turns, twice in the time that the manager waits for it; end where none does."""
    period = os.environ.get("WATCHDOG_USEC", "")
    if not period.isdecimal() or os.environ.get("WATCHDOG_PID", "") not in ("", str(os.getpid())):
        return
    while True:
        tell_manager(ALIVE)
        await trio.sleep(int(period) / 2e6)
