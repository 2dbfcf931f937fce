"""What a host tells others of where it can be dialled."""

from collections.abc import Callable, Sequence

from multiaddr import Multiaddr

from protocol.limits import MAX_ADDRESSES


class Announcement:
    """The addresses to announce, which change while the host runs.

    Args:
        claimed: what the operator says leads here.
        candidates: reads what the sockets and interfaces of this machine suggest.
    """

    def __init__(self, claimed: Sequence[str], candidates: Callable[[], tuple[str, ...]]) -> None:
        self.claimed = tuple(claimed)
        self.candidates = candidates
        self._told: tuple[str, ...] | None = None

    def tell(self, addresses: Sequence[str]) -> None:
        """Announce these from now on, in place of claims and candidates."""
        self._told = tuple(addresses)

    def current(self) -> list[str]:
        """Return what is announced now."""
        told = (self.claimed or self.candidates()) if self._told is None else self._told
        return list(dict.fromkeys(told))[:MAX_ADDRESSES]

    def advertise(self, _: list[Multiaddr]) -> list[Multiaddr]:
        """Return the same for libp2p, which suggests what its sockets are bound to, literally 0.0.0.0."""
        return [Multiaddr(address) for address in self.current()]
