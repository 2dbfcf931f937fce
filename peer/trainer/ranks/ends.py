"""What ends the process of a rank before training has: the end of torchrun, or of another rank."""

import ctypes
import os
import signal
import sys
import threading
import time

import psutil

LOOK = 0.5
"""Seconds between two looks whether torchrun still runs."""

_PR_SET_PDEATHSIG = 1


def watch(torchrun: int, ranks: int) -> None:
    """End this process at once when torchrun or one of its ranks has ended.

    To be called before there is any other thread, as each must be one that SIGTERM is not given to. It alone
    ends nothing: systemd sends it to all processes of a service, and only the daemon decides when training
    ends.

    Args:
        torchrun: its process id.
        ranks: how many it starts.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    # What is ignored cannot be waited for, and it was ignored when we were started.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        # By the kernel: no thread of ours would have its turn while a driver hangs that holds Python's lock.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
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
    except psutil.Error:
        return 0
