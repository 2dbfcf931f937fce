"""What ends the process of a rank before training has: the end of torchrun, or of another rank."""

import os
import signal
import threading
import time

import psutil

LOOK = 0.5
"""Seconds between two looks whether torchrun still runs."""


def watch(torchrun: int, ranks: int) -> None:
    """End this process at once, whatever it hangs in, when torchrun or one of its ranks has ended.

    To be called before there is any other thread. SIGTERM alone ends nothing: systemd sends it to all
    processes of a service, and only the daemon decides when training ends.

    Args:
        torchrun: its process id.
        ranks: how many it has started.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    # What is ignored cannot be waited for, and it was ignored when we were started.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(torchrun,), name="torchrun", daemon=True).start()
    threading.Thread(target=_end_as_told, args=(torchrun, ranks), name="signals", daemon=True).start()


def _end_with(torchrun: int) -> None:
    while os.getppid() == torchrun:
        time.sleep(LOOK)
    os._exit(1)


def _end_as_told(torchrun: int, ranks: int) -> None:
    while True:
        signal.sigwait([signal.SIGTERM])
        if _count(torchrun) < ranks:
            os._exit(1)


def _count(torchrun: int) -> int:
    try:
        return len(psutil.Process(torchrun).children())
    except psutil.NoSuchProcess:
        return 0
