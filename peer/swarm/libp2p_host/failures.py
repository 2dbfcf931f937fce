"""What libp2p raises, made into what our callers expect."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio
from libp2p.network.exceptions import SwarmException
from libp2p.security.noise.exceptions import PeerIDMismatchesPubkey
from libp2p.transport.exceptions import SecurityUpgradeFailure

from peer.swarm.transport import TransportError


class NotReachedError(SwarmException, TransportError):  # type: ignore[misc]
    """No address of a peer led to it: libp2p's own parts expect the one class, our callers the other."""


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
    except trio.TooSlowError as error:
        raise TransportError(f"{doing}: no answer in time") from error
    except Exception as error:
        raise TransportError(f"{doing}: {error!r}") from error


def why_not_reached(route: object, error: BaseException) -> str:
    """Say in a person's words why an attempt to connect by a route failed."""
    chain = list(_causes(error))
    if any(isinstance(one, ConnectionRefusedError) for one in chain):
        return f"nobody listens at {route}"
    if any(isinstance(one, PeerIDMismatchesPubkey) for one in chain):
        return f"another peer than that answers at {route}"
    if any(isinstance(one, SecurityUpgradeFailure) for one in chain):
        return f"what answers at {route} is no peer, or breaks off"
    if any(isinstance(one, TimeoutError | trio.TooSlowError) for one in chain):
        return f"no answer from {route} in time"
    os_errors = [one.strerror for one in chain if isinstance(one, OSError) and one.strerror]
    return f"{route}: {os_errors[-1] if os_errors else error}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception, what caused it, and what its groups hold."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from _causes(each)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def unwrapped(group: BaseException) -> BaseException:
    """Return the exception inside groups of one, which every nursery between it and us has added."""
    while isinstance(group, BaseExceptionGroup) and len(group.exceptions) == 1:
        group = group.exceptions[0]
    return group
