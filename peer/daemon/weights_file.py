"""The file of first weights on this host: the one that was named, or one fetched from the others and kept."""

import shutil
from pathlib import Path

import trio

from peer.daemon.home import Home
from peer.swarm.first_weights import FirstWeights, fetch_first_weights
from peer.swarm.service import Reply
from peer.swarm.swarm import Run, Swarm
from peer.swarm.transport import Transport
from protocol import sizes
from protocol.messages import AskState, ObjectRef


class WeightsFile:
    """Finds the file that the manifest names, if it names one, and serves it to newcomers."""

    def __init__(self, run: Run, transport: Transport, swarm: Swarm, home: Home) -> None:
        self._run = run
        self._transport = transport
        self._swarm = swarm
        self._kept = home.path / "first-weights.safetensors"
        self._path: Path | None = None
        self._served = FirstWeights()

    async def find(self, given: Path | None) -> Path | None:
        """Return the file's place, unchecked; None in a run that begins from its seed.

        Raises:
            HomeError: a file from the others cannot be written to disk.
        """
        sha256 = self._run.manifest.model.sha256
        if sha256 is None:
            return None
        if given is None and not self._kept.exists():
            await self._fetch(sha256)
        self._path = given or self._kept
        return self._path

    async def _fetch(self, sha256: bytes) -> None:
        swarm, largest = self._swarm, sizes.largest_weights(self._run.manifest)
        name = await fetch_first_weights(
            self._transport,
            self._run.run_id,
            swarm.view,
            swarm.store,
            swarm.puller,
            sha256=sha256,
            largest=largest,
        )
        fresh = self._kept.with_suffix(".new")
        await trio.to_thread.run_sync(shutil.move, swarm.store.folder / name, fresh)
        fresh.rename(self._kept)

    def offer(self) -> None:
        """Serve the file to others from now on. The trainer has checked its hash."""
        sha256 = self._run.manifest.model.sha256
        if self._path is None or sha256 is None:
            return
        # The store deletes what it retires: it gets a link, not somebody's file.
        link = self._swarm.store.folder / "first-weights"
        link.unlink(missing_ok=True)
        link.symlink_to(self._path)
        self._served.hold(
            self._swarm.store, ObjectRef(sha256=sha256, size=self._path.stat().st_size), link.name
        )

    async def serve(self, caller: str, call: AskState) -> Reply:
        """Answer one call."""
        return await self._served.serve(caller, call)
