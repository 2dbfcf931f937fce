import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ProtocolError
from protocol.identity import Identity, peer_id_of, public_key_of, verify


@given(st.binary(min_size=32, max_size=32))
def test_the_key_is_read_back_out_of_the_name(seed):
    identity = Identity(seed)
    assert public_key_of(identity.peer_id) == identity.public_key
    assert peer_id_of(identity.public_key) == identity.peer_id
    assert identity.peer_id.startswith("12D3KooW")


@pytest.mark.parametrize("name", ["", "x", "0OIl", "12D3KooW", "Qm" + "a" * 44, "1" * 64, "1" * 100_000])
def test_what_is_no_peer_id_is_refused(name):
    with pytest.raises(ProtocolError):
        public_key_of(name)


def test_a_signature_holds_for_its_key_bytes_and_purpose_only():
    one, other = Identity(b"1" * 32), Identity(b"2" * 32)
    signature = one.sign("record", b"data")
    verify(one.public_key, "record", b"data", signature)
    for key, context, data, signed in [
        (other.public_key, "record", b"data", signature),
        (one.public_key, "manifest", b"data", signature),
        (one.public_key, "record", b"date", signature),
        (one.public_key, "record", b"data", bytes(64)),
        (bytes(32), "record", b"data", signature),
    ]:
        with pytest.raises(ProtocolError, match="signature"):
            verify(key, context, data, signed)


def test_a_seed_of_the_wrong_length_is_a_bug():
    with pytest.raises(ValueError, match="32 bytes"):
        Identity(b"short")
