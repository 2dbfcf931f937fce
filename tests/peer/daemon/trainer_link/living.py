"""A link to real processes that follow a scenario, and a clock that moves only when told to."""

from contextlib import asynccontextmanager

import trio

from peer.daemon.trainer_link import TrainerLink
from peer.errors import PeerError
from protocol import trainer as ipc
from protocol.manifest import Manifest
from tests.peer.daemon import fake_trainer


class Daemon:
    """What a link is told and tells. `ended` holds what `run` returned, or how it failed."""

    def __init__(self, folder, scenario, clock):
        self.folder = folder
        self._clock = clock
        self._heard_send, self._heard = trio.open_memory_channel(1000)
        self._deaths_send, self._deaths = trio.open_memory_channel(1000)
        self.begin = self._begin
        self.ended = []
        self.link = TrainerLink(
            begin=lambda: self.begin(),
            on_message=self._heard_send.send_nowait,
            on_death=lambda *death: self._deaths_send.send_nowait(death),
            spool=folder,
            log=folder / "trainer.log",
            command=fake_trainer.command(scenario),
        )

    async def run(self):
        try:
            self.ended.append(await self.link.run())
        except PeerError as error:
            self.ended.append(error)

    async def _begin(self):
        return ipc.Begin(
            manifest=Manifest(founder=bytes(32)),
            peer_id="12D3",
            home=str(self.folder),
            spool=str(self.folder),
            device="cpu",
            shard=0,
            stop_at=None,
            data_paths=(),
            tokenizer_path=None,
            weights_path=None,
            batch=None,
            state=None,
        )

    async def hear_a(self, kind):
        while not isinstance(message := await self._heard.receive(), kind):
            pass
        return message

    async def hear_of_a_death(self):
        """Return the exit code, the restarts, and the last words."""
        return await self._deaths.receive()

    async def let_pass(self, seconds):
        """Jump the clock once nothing else moves."""
        await trio.testing.wait_all_tasks_blocked()
        self._clock.jump(seconds)

    @property
    def lives(self):
        return len(list(self.folder.glob("life-*")))


@asynccontextmanager
async def running(daemon):
    """Run the link; at the end it has returned by itself, or it is told to finish."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(daemon.run)
        yield nursery
        await daemon.link.finish()
