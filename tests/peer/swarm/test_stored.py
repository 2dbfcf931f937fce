import pytest

from peer.swarm.stored import StoredRecords, open_stored, stored_form
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.records import PeerRecord, sign_record

RUN = b"r" * 32
PEER, OTHER = Identity(b"p" * 32), Identity(b"q" * 32)


def _value(signer=PEER, run_id=RUN, sequence=4):
    record = PeerRecord(run_id=run_id, peer_id=PEER.peer_id, sequence=sequence, addresses=(), shard=0)
    return stored_form(sign_record(record, signer))


def test_a_peers_own_record_counts_under_its_name_only():
    rules = StoredRecords(RUN)
    assert rules.validate(PEER.peer_id, _value())
    assert not rules.validate(OTHER.peer_id, _value())
    assert rules.sequence(_value()) == 4


@pytest.mark.parametrize(
    "value", [b"", b"junk", _value(signer=OTHER), _value(run_id=b"s" * 32), bytes(10_000)]
)
def test_anything_else_does_not(value):
    assert not StoredRecords(RUN).validate(PEER.peer_id, value)
    with pytest.raises(ProtocolError):
        open_stored(value, RUN)
