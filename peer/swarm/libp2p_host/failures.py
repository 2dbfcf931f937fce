"""What libp2p raises, made into what our callers expect."""

from collections.abc import Iterator
from contextlib import contextmanager

from peer.swarm.transport import TransportError


@contextmanager
def as_transport_error(doing: str) -> Iterator[None]:
    """Raise `TransportError` for every failure of the calls to libp2p within.

    libp2p lets through what its dependencies raise (KeyError, UnicodeDecodeError, InvalidTag, OverflowError
    ...), so no shorter list is complete. Cancellation passes, as it is no `Exception`.
    """
    try:
        yield
    except TransportError:
        raise
    except Exception as error:
        raise TransportError(f"{doing}: {error!r}") from error


def unwrapped(group: BaseException) -> BaseException:
    """Return the exception inside groups of one, which every nursery between it and us has added."""
    while isinstance(group, BaseExceptionGroup) and len(group.exceptions) == 1:
        group = group.exceptions[0]
    return group
