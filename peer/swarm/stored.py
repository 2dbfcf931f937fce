"""Peer records as the DHT holds them, and the rules by which a holder judges them."""

from protocol import codec
from protocol.errors import ProtocolError
from protocol.limits import MAX_STORED
from protocol.records import PeerRecord, SignedRecord, open_record


def stored_form(record: SignedRecord) -> bytes:
    """Return the value to publish."""
    return codec.encode(record)


def open_stored(value: bytes, run_id: bytes) -> PeerRecord:
    """Return the record in a stored value.

    Raises:
        ProtocolError: malformed, of another run, or badly signed.
    """
    return open_record(codec.decode(value, SignedRecord, MAX_STORED), run_id)


class StoredRecords:
    """See `RecordRules`: a value counts if the peer that it is stored under has signed it for this run."""

    def __init__(self, run_id: bytes) -> None:
        self._run_id = run_id

    def validate(self, peer_id: str, value: bytes) -> bool:
        """Say whether `value` may be stored under `peer_id`."""
        try:
            return open_stored(value, self._run_id).peer_id == peer_id
        except ProtocolError:
            return False

    def sequence(self, value: bytes) -> int:
        """Return the number of a valid record; the higher of two is the newer."""
        return open_stored(value, self._run_id).sequence
