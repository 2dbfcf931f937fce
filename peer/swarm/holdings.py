"""The objects of one group: our parts and the averages, served to the others while they may need them."""

from contextlib import ExitStack

from peer.swarm.objects import ObjectStore
from protocol.messages import ObjectRef
from protocol.trainer import Blob


class Holdings:
    """What we hold and serve of one group."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._uses = ExitStack()
        self._mine: list[bytes] = []

    def add(self, ref: ObjectRef, file: str) -> None:
        """Serve a file of the spool folder until `release`."""
        self._store.add(ref, file)
        # Two objects of one group may have the same bytes: neither's end may be the other's.
        self._uses.enter_context(self._store.in_use(ref.sha256))
        self._mine.append(ref.sha256)

    def add_blob(self, blob: Blob) -> ObjectRef:
        """Serve what the trainer wrote; return its name."""
        ref = ObjectRef(sha256=blob.sha256, size=blob.size)
        self.add(ref, blob.file)
        return ref

    def release(self) -> None:
        """Serve it no longer."""
        for sha256 in self._mine:
            self._store.retire(sha256)
        self._mine.clear()
        self._uses.close()
