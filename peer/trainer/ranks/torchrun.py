"""The processes of all ranks, which PyTorch's `torchrun` starts, watches and ends together."""

import logging
import os
import shutil
import signal
import socket
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import torch
from torch.distributed import run as torch_run
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from peer.errors import HomeError
from peer.trainer import spool
from peer.trainer.link import Link
from peer.trainer.ranks import failure, one_host
from peer.trainer.ranks.folder import write_order
from protocol.trainer import Begin

RANK = "peer.trainer.ranks"
"""The module that is one rank."""


def run(sock: socket.socket, begin: Begin, ranks: int) -> int:
    """Run so many ranks until the end, and return the exit code: that of the one that failed.

    Ends this process by SIGKILL where a rank was ended so: that is what the daemon is to hear if the system
    took a rank for its memory.

    Args:
        sock: to the daemon; rank 0 goes on where we are in it.
        begin: what the daemon has said.
        ranks: how many, one for each device.

    Raises:
        HomeError: there is no room for what they are to be told.
    """
    for left_over in Path(begin.spool).glob("ranks-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    folder = spool.fresh(Path(begin.spool), "ranks")
    try:
        _tell(folder, begin)
        code = _run(sock, folder, ranks)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if code == -signal.SIGKILL:
        os.kill(os.getpid(), signal.SIGKILL)
    return code


def _tell(folder: Path, begin: Begin) -> None:
    try:
        write_order(folder, begin)
    except OSError as error:
        raise HomeError(f"{folder} cannot be written: {error.strerror}", "Make room on that disk.") from error


def _run(sock: socket.socket, folder: Path, ranks: int) -> int:
    # All that torchrun lets its processes inherit.
    os.dup2(sock.fileno(), 0)
    os.environ["OMP_NUM_THREADS"] = str(max(torch.get_num_threads() // ranks, 1))
    os.environ["PYTHONSAFEPATH"] = "1"  # as `peer.programs.python` does
    one_host.register()
    _forget_the_environment()
    try:
        _torchrun(
            f"--nproc-per-node={ranks}",
            f"--rdzv-backend={one_host.NAME}",
            f"--rdzv-endpoint={folder.name}",  # of no meaning, and torchrun's own rendezvous without it
            "--max-restarts=0",  # the daemon's business: it waits longer each time
            f"--log-dir={folder / 'torchrun'}",
            "--module",
            RANK,
            str(folder),
            str(os.getpid()),
        )
    except ChildFailedError as error:
        return _end(sock, folder, error.failures)
    return 0


def _forget_the_environment() -> None:
    """Leave nothing that changes what torchrun does: any of its options may stand in a variable."""
    for name in [name for name in os.environ if name.startswith(("PET_", "PYTHON_EXEC"))]:
        del os.environ[name]
    # It asks for this host's name again and again, at the end too, and some resolvers take seconds.
    socket.getfqdn = lambda name="": name or "localhost"


def _torchrun(*words: str) -> None:
    """Run `torchrun` with these words.

    On another thread than the main one, as it would take all signals for the order to end its processes, and
    only the daemon gives that. It warns of it in vain: a rank ends when this process has. And what it says of
    the rank that has failed must not stand behind that rank's own last words, which the daemon quotes.
    """
    logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(logging.CRITICAL)
    with ThreadPoolExecutor(1, "torchrun") as thread:
        order = torch_run.parse_args(words)  # type: ignore[no-untyped-call]
        thread.submit(torch_run.run, order).result()


def _end(sock: socket.socket, folder: Path, failures: Mapping[int, ProcessFailure]) -> int:
    """Tell the daemon why a rank has failed, unless rank 0 has; return the exit code."""
    first = failures.get(0)
    if first is not None and first.exitcode > 1:
        return first.exitcode
    if (failed := failure.read(folder)) is not None:
        with closing(Link(sock)) as link:
            link.send(failed)
        return failed.code
    if any(each.exitcode == -signal.SIGKILL for each in _unasked(failures.values())):
        return -signal.SIGKILL
    return 1


def _unasked(failures: Collection[ProcessFailure]) -> Iterator[ProcessFailure]:
    """Return those that torchrun has not ended itself because of the others.

    It looks ten times a second, and gives those that it ends half a minute before it kills them.
    """
    first = min(each.timestamp for each in failures)
    return (each for each in failures if each.timestamp <= first + 1)
