"""States of donors that are small enough to be in memory."""

from protocol.state_index import ChunkHasher


def hash_chunks(data: bytes) -> bytes:
    """Return the hashes of all chunks of a state."""
    hasher = ChunkHasher(len(data))
    hasher.update(data)
    return hasher.hashes()
