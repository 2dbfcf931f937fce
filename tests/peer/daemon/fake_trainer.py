"""A trainer without torch that follows a scenario: `python fake_trainer.py SCENARIO --socket FD`."""

import argparse
import os
import signal
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from protocol import trainer as ipc
from protocol.codec import decode, encode
from protocol.errors import ProtocolError
from protocol.frames import FrameDecoder, frame

PROGRESS = ipc.Progress(
    inner_step=20,
    outer_step=1,
    tokens=640,
    loss=2.5,
    tokens_per_second=1000.0,
    learning_rate=0.004,
    next_boundary=1.0,
)
FINISHED = ipc.Finished(inner_step=20, reached_stop=True)


def command(scenario: str) -> tuple[str, ...]:
    return sys.executable, __file__, scenario


class Daemon:
    """The daemon, as a trainer sees it."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._decoder = FrameDecoder(ipc.MAX_IPC)
        self._unread: list[bytes] = []

    def tell(self, message: ipc.FromTrainer) -> None:
        self.socket.sendall(frame(encode(message), ipc.MAX_IPC))

    def hear(self) -> ipc.ToTrainer | None:
        while not self._unread:
            data = self.socket.recv(65536)
            if not data:
                return None
            self._unread = self._decoder.feed(data)
        return decode(self._unread.pop(0), ipc.ToTrainer, ipc.MAX_IPC)  # type: ignore[arg-type]

    def begin(self) -> ipc.Begin:
        """Take the orders, and tell them back: `device` is our process group, the steps are this life's."""
        begin = self.hear()
        if not isinstance(begin, ipc.Begin):
            sys.exit(f"began with {begin}")
        life = sum(1 for _ in Path(begin.home).glob("life-*"))
        (Path(begin.home) / f"life-{life}").touch()
        self.tell(_ready(life, os.environ["OMP_NUM_THREADS"]))
        return begin


def _ready(life: int, device: str) -> ipc.Ready:
    return ipc.Ready(device=device, parameters=1, inner_step=life, outer_step=0, tokens=0, resumed=life > 0)


def answers(daemon: Daemon) -> int:
    """Answer whatever is asked, until told to finish or left alone."""
    begin = daemon.begin()
    while (message := daemon.hear()) is not None:
        match message:
            case ipc.Theirs() | ipc.Assemble():
                _delete(begin, *(message.parts if isinstance(message, ipc.Assemble) else (message.file,)))
                daemon.tell(_mixed(message.share))
            case ipc.Encode() | ipc.EncodeAgain():
                named = message.bounds if isinstance(message, ipc.Encode) else message.failed
                _delete(begin, named)
                daemon.tell(ipc.Encoded(share=message.share, body=_blob(begin, f"body-{message.share}")))
            case ipc.Open() | ipc.OpenAgain():
                _delete(begin, message.file)
                failed = _blob(begin, f"failed-{message.share}") if isinstance(message, ipc.Open) else None
                count = 0 if failed is None else 1
                daemon.tell(
                    ipc.Opened(share=message.share, failed=failed, failed_blocks=count, blocks=9, reason="")
                )
            case ipc.Split():
                parts = tuple(_blob(begin, f"part-{number}") for number in range(message.parts))
                daemon.tell(ipc.Parts(share=message.share, parts=parts))
            case ipc.Reduce():
                _delete(begin, *(member.file for member in message.members))
                body = _blob(begin, f"mean-{message.part}")
                daemon.tell(ipc.Reduced(share=message.share, part=message.part, body=body, refused=()))
            case ipc.NoMix():
                daemon.tell(PROGRESS)
            case ipc.Capture():
                state = ipc.State(file="state", inner_step=20, outer_step=1, tokens=640)
                daemon.tell(ipc.Captured(state=state, size=8, hashes=bytes(32)))
            case ipc.Finish():
                daemon.tell(FINISHED)
                return 0
    return 0


def _delete(begin: ipc.Begin, *names: str | None) -> None:
    for name in names:
        if name is not None:
            (Path(begin.spool) / name).unlink()


def _blob(begin: ipc.Begin, name: str) -> ipc.Blob:
    (Path(begin.spool) / name).write_text(name)
    return ipc.Blob(file=name, size=len(name), sha256=bytes(32))


def _mixed(share: int) -> ipc.Mixed:
    return ipc.Mixed(
        share=share, accepted=True, reason="", distance=0.1, relative_distance=0.01, late_by=share
    )


def answers_late(daemon: Daemon) -> int:
    """Answer nothing until a share is given up; then everything, in order."""
    begin = daemon.begin()
    asked = []
    while not isinstance(message := daemon.hear(), ipc.NoMix):
        asked.append(message)
    for message in asked:
        if isinstance(message, ipc.Encode):
            daemon.tell(ipc.Encoded(share=message.share, body=_blob(begin, f"body-{message.bits}")))
    daemon.tell(PROGRESS)
    return answers_to_the_end(daemon)


def refuses_once(daemon: Daemon) -> int:
    """Find the first donor's state of no use."""
    if isinstance(daemon.hear(), ipc.Begin):
        daemon.tell(ipc.StateRefused(reason="it is not finite"))
    return answers(daemon)


def dies(daemon: Daemon) -> int:
    daemon.begin()
    print("my last words", file=sys.stderr)
    return 3


def dies_unheard(daemon: Daemon) -> int:
    """As one whose imports fail does."""
    return 4


def dies_with_a_mix(daemon: Daemon) -> int:
    """Make a step, take a share to mix, and die; live on the second time."""
    begin = daemon.begin()
    if (Path(begin.home) / "life-1").exists():
        return 0 if daemon.hear() is None else 1
    daemon.tell(PROGRESS)
    while not isinstance(daemon.hear(), ipc.Theirs):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def dies_for_ever(daemon: Daemon) -> int:
    """Make a step before each death."""
    daemon.begin()
    daemon.tell(PROGRESS)
    return 5


def fails(daemon: Daemon) -> int:
    """Say what is in the way, with the exit code that the home's folder is named after."""
    code = int(Path(daemon.begin().home).name)
    daemon.tell(ipc.Failed(code=code, message="the data is not there", remedy="Put it there"))
    return code


def sends(daemon: Daemon) -> int:
    """Send the bytes of the file `garbage`, and end when the daemon hangs up."""
    daemon.socket.sendall((Path(daemon.begin().home) / "garbage").read_bytes())
    try:
        while daemon.hear() is not None:
            pass
    except ConnectionError:
        pass
    return 6


def finishes(daemon: Daemon) -> int:
    """Reach the last step."""
    daemon.begin()
    daemon.tell(FINISHED)
    return 0


def has_steps_left(daemon: Daemon) -> int:
    """End before all steps are made, when told to."""
    daemon.begin()
    while (message := daemon.hear()) is not None:
        if isinstance(message, ipc.Finish):
            daemon.tell(ipc.Finished(inner_step=20, reached_stop=False))
            break
    return 0


def saves(daemon: Daemon) -> int:
    """Write a checkpoint when told to; the second time the disk is full, and so it is at the end."""
    daemon.begin()
    saved = 0
    while (message := daemon.hear()) is not None:
        if isinstance(message, ipc.Save):
            saved += 1
            if saved == 1:
                daemon.tell(ipc.Checkpointed(inner_step=20, path="here", seconds=1.0))
            else:
                daemon.tell(ipc.CheckpointFailed(inner_step=20, reason="the disk is full"))
        elif isinstance(message, ipc.Finish):
            daemon.tell(ipc.Failed(code=4, message="the disk is full", remedy="Free some"))
            break
    return 4


def lingers(daemon: Daemon) -> int:
    """Say the last word, and hang instead of ending."""
    finishes(daemon)
    return stays(daemon)


def hangs_up(daemon: Daemon) -> int:
    """Close the connection without a word, and stay."""
    daemon.begin()
    daemon.socket.shutdown(socket.SHUT_RDWR)
    return stays(daemon)


def ignores(daemon: Daemon) -> int:
    """Hear everything and do nothing."""
    daemon.begin()
    while daemon.hear() is not None:
        pass
    return stays(daemon)


def waits_for_data(daemon: Daemon) -> int:
    """Hear nothing any more, as no data are there to begin with."""
    daemon.hear()
    daemon.tell(ipc.Waiting(reason="the Hub sleeps"))
    return stays(daemon)


def stays(daemon: Daemon) -> int:
    while True:
        signal.pause()


def echoes(daemon: Daemon) -> int:
    """Tell the longest thing in the orders back a hundred times, in one breath."""
    begin = daemon.hear()
    assert isinstance(begin, ipc.Begin)
    for life in range(100):
        daemon.tell(_ready(life, begin.spool))
    return answers_to_the_end(daemon)


def answers_to_the_end(daemon: Daemon) -> int:
    while not isinstance(daemon.hear(), ipc.Finish):
        pass
    daemon.tell(FINISHED)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario")
    parser.add_argument("--socket", type=int, required=True)
    options = parser.parse_args()
    scenario = globals()[options.scenario]
    try:
        return int(scenario(Daemon(socket.socket(fileno=options.socket))))
    except ProtocolError as error:
        sys.exit(f"the daemon sent garbage: {error}")


if __name__ == "__main__":
    sys.exit(main())
