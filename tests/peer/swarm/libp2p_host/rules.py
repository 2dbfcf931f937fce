"""Records of the simplest kind, for tests of the DHT: a PeerID and a number."""

RUN = bytes(range(32))


def record(peer_id: str, number: int, padding: int = 0) -> bytes:
    return f"{peer_id}:{number}:".encode() + bytes(padding)


class NumberedRecords:
    """A record is valid under the PeerID that it names. (Real ones are signed.)"""

    def validate(self, peer_id: str, value: bytes) -> bool:
        name, _, rest = value.partition(b":")
        return name == peer_id.encode() and rest.split(b":")[0].isdigit()

    def sequence(self, value: bytes) -> int:
        return int(value.split(b":")[1])
