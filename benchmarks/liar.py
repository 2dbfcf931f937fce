"""`peer`, but what it gives of any object is not what it has signed: for benchmarks of those who ask it."""

from peer.cli.main import app
from peer.swarm.objects import ObjectStore

_read = ObjectStore.read


def _lie(store: ObjectStore, sha256: bytes, offset: int, length: int, reader: str = "") -> bytes | None:
    data = _read(store, sha256, offset, length, reader)
    return data and bytes([data[0] ^ 1]) + data[1:]


def main() -> None:
    """Lie, and else be a peer."""
    ObjectStore.read = _lie  # type: ignore[method-assign, assignment]
    app()


if __name__ == "__main__":
    main()
