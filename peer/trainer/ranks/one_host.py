"""torchrun's rendezvous, of one host with itself."""

from torch.distributed import HashStore  # type: ignore[attr-defined]  # its types hide it
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
    rendezvous_handler_registry,
)

NAME = "one-host"
"""For torchrun's `--rdzv-backend`, once `register` was called."""


class OneHost(RendezvousHandler):
    """A rendezvous at which nobody else is expected.

    torchrun's own finds other hosts through a store that listens on every interface and asks nobody who they
    are. What one agent has to remember stays in its memory; nothing listens.
    """

    def __init__(self, parameters: RendezvousParameters) -> None:
        self._run_id = parameters.run_id
        self._closed = False

    def get_backend(self) -> str:
        """See `RendezvousHandler`."""
        return NAME

    def get_run_id(self) -> str:
        """See `RendezvousHandler`."""
        return self._run_id

    def next_rendezvous(self) -> RendezvousInfo:
        """Return a world of this host alone; its ranks meet without an address of torchrun's."""
        nowhere = RendezvousStoreInfo(master_addr="127.0.0.1", master_port=0)
        return RendezvousInfo(HashStore(), 0, 1, nowhere)

    def num_nodes_waiting(self) -> int:
        """See `RendezvousHandler`."""
        return 0

    def is_closed(self) -> bool:
        """See `RendezvousHandler`."""
        return self._closed

    def set_closed(self) -> None:
        """See `RendezvousHandler`."""
        self._closed = True

    def shutdown(self) -> bool:
        """See `RendezvousHandler`."""
        return True


def register() -> None:
    """Make it known to torchrun."""
    rendezvous_handler_registry.register(NAME, OneHost)
