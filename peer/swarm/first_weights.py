"""A newcomer gets the file of first weights, which the manifest names by its hash, from whoever holds it."""

import trio

from peer.errors import HomeError
from peer.swarm.calls import RefusedError, ask
from peer.swarm.guests import longest_hold
from peer.swarm.objects import ObjectStore
from peer.swarm.pull import Puller
from peer.swarm.service import Reply
from peer.swarm.transport import Contact, Transport, TransportError
from peer.swarm.view import View
from protocol.errors import ProtocolError
from protocol.messages import AskState, FileIs, ObjectRef, Refused

PATIENCE = 30.0
"""Seconds that a peer may think about whether it has the file."""

RETRY = 5.0
"""Seconds until a peer that has no file (yet) is asked again."""


async def fetch_first_weights(
    transport: Transport,
    run_id: bytes,
    view: View,
    store: ObjectStore,
    puller: Puller,
    *,
    sha256: bytes,
    largest: int,
) -> str:
    """Ask peers until one has given the file; return its name in the store's folder, whole and checked.

    Args:
        transport: reaches them.
        run_id: the run.
        view: the peers to ask.
        store: takes the file in.
        puller: fetches it.
        sha256: of the file.
        largest: bytes beyond which a file cannot be the right one.

    Raises:
        HomeError: the file cannot be written to disk.
    """
    while True:
        donor = view.draw()
        if donor is None:
            with trio.move_on_after(1.0):
                await view.wait_change()
            continue
        try:
            answer = await ask(transport, donor, run_id, AskState(), FileIs, patience=PATIENCE)
            if answer.file.sha256 != sha256 or answer.file.size > largest:
                raise ProtocolError("these are not the run's first weights")
            return await _pull(puller, donor, store, answer.file)
        except RefusedError:
            view.busy(donor.peer_id, RETRY)
        except (TransportError, ProtocolError):
            view.missed(donor.peer_id)
            view.exchanged(donor.peer_id, well=False)


async def _pull(puller: Puller, donor: Contact, store: ObjectStore, ref: ObjectRef) -> str:
    try:
        with trio.move_on_after(longest_hold(ref.size)), store.receive(ref) as incoming:
            await puller.pull(donor, ref, incoming)
            incoming.check()
            return incoming.keep()
    except OSError as error:
        raise HomeError(
            f"Cannot write {ref.size} bytes of first weights to {store.folder}: {error.strerror or error}",
            "Free some space on that disk, and start again",
        ) from error
    raise TransportError(f"{donor.peer_id} did not give the first weights in time")


class FirstWeights:
    """Answers `AskState` in a run where all that a newcomer needs beside the votes is this file."""

    def __init__(self) -> None:
        self._held: ObjectRef | None = None

    def hold(self, store: ObjectStore, ref: ObjectRef, file: str) -> None:
        """Serve `file` of the store's folder from now on."""
        if self._held is None:
            store.add(ref, file)
            self._held = ref

    async def serve(self, caller: str, call: AskState) -> Reply:
        """Answer one call."""
        del caller, call
        if self._held is None:
            return Refused(reason="we have no file of first weights (yet)")
        return FileIs(file=self._held)
