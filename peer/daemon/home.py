"""A peer's home: the folder that holds all that it keeps from one start to the next."""

import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from peer.daemon.identity_file import parse_identity, write_identity
from peer.daemon.known_peers import KnownPeer, merge, parse_known, write_known
from peer.daemon.lock import locked
from peer.errors import HomeError, ManifestInvalidError
from peer.swarm.transport import Contact
from protocol.codec import decode, encode
from protocol.errors import ProtocolError
from protocol.identity import SEED_BYTES, Identity
from protocol.limits import MAX_MANIFEST
from protocol.manifest import SignedManifest

CACHE_PERIOD = 300.0
"""Seconds after which an unchanged cache of peers is written again, for its times."""

_SEAL = 256
"""Bytes around the manifest in a `SignedManifest`: the signature, names, and lengths."""


class Home:
    """One peer's folder, held by this process while `open` lasts.

    Attributes:
        path: absolute, without symbolic links.
        events: the event log.
        checkpoints: the trainer's folder of checkpoints.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events = path / "events.log"
        self.checkpoints = path / "checkpoints"
        self._manifest = path / "manifest"
        self._peers = path / "peers"
        self._cached: tuple[list[Contact], float] | None = None

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        """Make the folder if it is new, and hold it.

        Raises:
            HomeInUseError: another daemon holds it.
            HomeError: it cannot be made or written.
        """
        with ExitStack() as stack:
            with _home_errors(path):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                home = cls(path.resolve())
                stack.enter_context(locked(home.path / "lock"))
                home.checkpoints.mkdir(exist_ok=True)
            yield home

    def identity(self) -> Identity:
        """Return the peer's key pair, a new one if there is none yet.

        Raises:
            IdentityError: `identity.key` is damaged.
            HomeError: it cannot be read or written.
        """
        file = identity_file(self.path)
        if not file.exists():
            identity = Identity(secrets.token_bytes(SEED_BYTES))
            write_atomically(file, write_identity(identity).encode())
        return _read_identity_file(file)

    def read_manifest(self) -> SignedManifest | None:
        """Return the manifest of this home's run; None before it has one. Its signature is not checked here.

        Raises:
            ManifestInvalidError: the file is damaged.
            HomeError: it cannot be read.
        """
        with _home_errors(self._manifest):
            if not self._manifest.exists():
                return None
            data = self._manifest.read_bytes()
        try:
            return decode(data, SignedManifest, MAX_MANIFEST + _SEAL)
        except ProtocolError as error:
            raise ManifestInvalidError(
                f"{self._manifest} is damaged: {error}", "Put back a copy, or join the run from a new home"
            ) from error

    def write_manifest(self, sealed: SignedManifest) -> None:
        """Keep the run's manifest."""
        write_atomically(self._manifest, encode(sealed))

    def read_peers(self) -> list[Contact]:
        """Return the peers that were met, the last seen first; none where the cache is damaged."""
        return [Contact(peer.peer_id, peer.addresses) for peer in self._known()]

    def write_peers(self, live: list[Contact]) -> None:
        """Add the peers in view to the cache. A disk that refuses costs the cache, and no more."""
        now = time.time()
        if self._cached is not None and self._cached[0] == live and now - self._cached[1] < CACHE_PERIOD:
            return
        with suppress(HomeError):
            write_atomically(self._peers, write_known(merge(self._known(), live, now)))
            self._cached = (live, now)

    def _known(self) -> list[KnownPeer]:
        try:
            return parse_known(self._peers.read_bytes())
        except OSError:
            return []

    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return any(self.checkpoints.glob("step-*"))


def look_into(path: Path) -> SignedManifest | None:
    """Return the manifest of the home at `path`, whether a daemon holds it or not. Nothing is made.

    Raises:
        PeerError: as `Home.read_manifest` does.
    """
    return Home(path.resolve()).read_manifest()


def read_identity(path: Path) -> Identity:
    """Return the identity of the home at `path`, whether a daemon holds it or not; a new home is made.

    Raises:
        PeerError: as `Home.open` and `Home.identity` do.
    """
    file = identity_file(path)
    with _home_errors(path):
        known = file.exists()
    if known:
        return _read_identity_file(file)
    with Home.open(path) as home:
        return home.identity()


def write_atomically(path: Path, data: bytes, owner: tuple[int, int] | None = None) -> None:
    """Put `data` in place of the file at `path`, readable by its owner alone: all of it, or nothing changes.

    Args:
        path: in a folder that exists.
        data: of the whole file.
        owner: user and group, by their numbers, where that is not who writes.

    Raises:
        HomeError: the disk refuses.
    """
    with _home_errors(path):
        descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                if owner is not None:
                    os.fchown(descriptor, *owner)
                os.fsync(descriptor)
            Path(fresh).replace(path)
        except BaseException:
            Path(fresh).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a new name in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def identity_file(home: Path) -> Path:
    """Return where a home keeps its peer's key, which every peer that starts there makes first."""
    return home / "identity.key"


def _read_identity_file(file: Path) -> Identity:
    with _home_errors(file):
        return parse_identity(file.read_bytes().decode("ascii", "replace"), str(file))


@contextmanager
def _home_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise HomeError(f"Cannot use {path}: it is a file", "Name a folder with --home") from error
    except OSError as error:
        raise HomeError(
            f"Cannot use {path}: {error.strerror}", "Mend its permissions or its disk, or name another --home"
        ) from error
