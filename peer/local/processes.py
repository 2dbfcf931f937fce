"""Starts real `peer start` processes, asks them how they are, and ends them, all of them, in time."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from peer.daemon.client import ControlClient
from peer.daemon.last_status import read_last_status
from peer.daemon.limits_file import write_given
from peer.daemon.runtime import control_socket
from peer.errors import NotRunningError, SwarmError
from peer.programs import python
from protocol.control import Status

STOP_DEADLINE = 4.0
"""Seconds from the signal until what is left is killed; Ctrl-C promises 5 in all."""

START_DEADLINE = 60.0
"""Seconds for the founder to listen: imports on a busy machine take a few."""

POLL = 0.1

NO_PAUSES = {"pause_for_others": False, "pause_on_battery": False}
"""Who starts a swarm, or a peer in a program, wants to see it train, also on battery and beside others."""

LOG = "daemon.log"
"""What a peer that a program started has said, in its home."""


@dataclass(slots=True)
class LocalPeer:
    """One peer process of the local swarm."""

    name: str
    home: Path
    process: subprocess.Popen[bytes]
    status: Status | None = None
    """The last answer; kept after the process has ended."""

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.process.poll() is None

    @property
    def log(self) -> Path:
        """What the process wrote to its standard error."""
        return self.home / LOG

    def refresh(self) -> None:
        """Ask the daemon how it is, or take its last word; one that does not answer keeps what it said."""
        if not self.running:
            self.status = read_last_status(self.home) or self.status
            return
        with suppress(NotRunningError), ControlClient(control_socket(self.home)) as client:
            self.status = client.status()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it lives."""
        if self.running:
            self.process.send_signal(number)


@dataclass(slots=True)
class LocalSwarm:
    """The processes of one `peer swarm`."""

    folder: Path
    peers: list[LocalPeer] = field(default_factory=list)

    def start(self, index: int, arguments: Sequence[str]) -> LocalPeer:
        """Start one more peer with a home of its own."""
        home = self.folder / f"peer-{index}"
        home.mkdir(parents=True)
        write_given(home, NO_PAUSES)
        own = ("--listen", "/ip4/127.0.0.1/tcp/0", "--metrics-port", "0", "--stop-on-eof")
        threads = None if "OMP_NUM_THREADS" in os.environ else 1
        peer = launch("peer", home, [*own, *arguments], threads=threads, one_gpu=True)
        self.peers.append(peer)
        return peer

    def address_of(self, peer: LocalPeer) -> str:
        """Wait until a peer listens and return where.

        Raises:
            SwarmError: it ended, or did not listen in time.
        """
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline and peer.running:
            peer.refresh()
            if peer.status is not None and peer.status.addresses:
                return peer.status.addresses[0]
            time.sleep(POLL)
        raise self.failure(peer)

    def failure(self, peer: LocalPeer) -> SwarmError:
        """Return the error that tells of a peer's end, or of its silence at first, with its last words."""
        lines = peer.log.read_text(errors="replace").strip().splitlines()
        said = lines[-1] if lines else "nothing"
        code = peer.process.poll()
        what = f"does not listen after {START_DEADLINE:g} s" if code is None else f"ended with code {code}"
        return SwarmError(f"{peer.name} {what}. It said: {said}", f"Its log is {peer.log}")

    def refresh(self) -> None:
        """Ask every peer how it is."""
        for peer in self.peers:
            peer.refresh()

    def stop(self) -> None:
        """End every process: first by asking, and in time in any case. Returns when none is left."""
        end(self.peers)


def launch(
    module: str,
    home: Path,
    arguments: Sequence[str],
    *,
    threads: int | None,
    one_gpu: bool = False,
    piped: bool = False,
) -> LocalPeer:
    """Start a peer in a process of its own, which ends when this one does.

    Args:
        module: speaks for `peer`: its arguments are those of the command.
        home: the peer's, which exists.
        arguments: for `peer start`; `--stop-on-eof` among them.
        threads: of its trainer; None leaves it to the environment and the trainer. Peers that share the cores
            of one machine would only take them from each other with more than one.
        one_gpu: it is to see the first GPU alone, as peers that share a machine would slow each other down
            with a process of each on each GPU.
        piped: standard output comes through a pipe; otherwise it goes to the log, as standard error does.
    """
    command = python(module, "start", "--home", str(home), *arguments)
    given = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    environment = {**os.environ, **given}
    if one_gpu:
        environment["CUDA_VISIBLE_DEVICES"] = environment.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    with (home / LOG).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            # The pipe's end is how the peer learns that we are gone, however we went.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if piped else log,
            stderr=log,
            # Ctrl-C in the terminal reaches us alone; we then end the peers in order.
            start_new_session=True,
            env=environment,
        )
    return LocalPeer(home.name, home, process)


def end(peers: Sequence[LocalPeer]) -> None:
    """End every process: first by asking, and in time in any case. Returns when none is left."""
    for peer in peers:
        peer.signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_DEADLINE
    for peer in peers:
        with suppress(subprocess.TimeoutExpired):
            peer.process.wait(max(deadline - time.monotonic(), 0.01))
    for peer in peers:
        peer.signal(signal.SIGKILL)
        peer.process.wait()
        if peer.process.stdin is not None:
            peer.process.stdin.close()
