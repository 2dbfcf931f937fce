import msgspec
import pytest

from protocol.codec import encode
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.limits import MAX_ADDRESS, MAX_ADDRESSES, MAX_MESSAGE, MAX_PROGRESS, MAX_RECORDS, MAX_STORED
from protocol.messages import PeersAre
from protocol.records import PeerRecord, SignedRecord, open_record, sign_record

RUN = b"r" * 32
PEER = Identity(b"p" * 32)


def _record(**changes):
    record = PeerRecord(
        run_id=RUN, peer_id=PEER.peer_id, sequence=1, addresses=("/ip4/192.0.2.1/tcp/4001",), shard=3
    )
    return msgspec.structs.replace(record, **changes)


def test_a_record_opens_in_its_run_only():
    sealed = sign_record(_record(), PEER)
    assert open_record(sealed, RUN) == _record()
    with pytest.raises(ProtocolError, match="another run"):
        open_record(sealed, b"s" * 32)


@pytest.mark.parametrize("outer_step", [-1, MAX_PROGRESS + 1])
def test_nobody_can_claim_more_progress_than_makes_sense(outer_step):
    with pytest.raises(ProtocolError, match="schema"):
        open_record(sign_record(_record(outer_step=outer_step), PEER), RUN)


def test_nobody_can_sign_for_another():
    with pytest.raises(ProtocolError, match="signature"):
        open_record(sign_record(_record(), Identity(b"q" * 32)), RUN)
    forged = encode(_record(sequence=2))
    with pytest.raises(ProtocolError, match="signature"):
        open_record(SignedRecord(record=forged, signature=sign_record(_record(), PEER).signature), RUN)


def test_a_full_exchange_of_the_largest_records_fits_its_bounds():
    longest = ("/" + "x" * (MAX_ADDRESS - 1),) * MAX_ADDRESSES
    largest = {"sequence": 2**63 - 1, "shard": 65535, "outer_step": MAX_PROGRESS, "away": True}
    sealed = sign_record(_record(addresses=longest, **largest), PEER)
    open_record(sealed, RUN)
    assert len(encode(sealed)) <= MAX_STORED
    assert len(encode(PeersAre(records=(sealed,) * MAX_RECORDS))) <= MAX_MESSAGE
