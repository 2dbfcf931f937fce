import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.daemon.identity_file import parse_identity, write_identity
from peer.errors import Exit, IdentityError
from protocol.identity import Identity

TEXT = write_identity(Identity(bytes(range(32))))


@given(st.binary(min_size=32, max_size=32))
def test_what_is_written_is_read(seed):
    assert parse_identity(write_identity(Identity(seed)), "identity.key").seed == seed


@given(st.data())
def test_any_changed_character_is_noticed(data):
    place = data.draw(st.integers(0, len(TEXT) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda char: char != TEXT[place]))
    with pytest.raises(IdentityError):
        parse_identity(TEXT[:place] + other + TEXT[place + 1 :], "identity.key")


@pytest.mark.parametrize("text", ["", "\n", TEXT[:-1], TEXT + "\n", TEXT.upper(), "\ufffd" * 100])
def test_a_damaged_file_is_refused_with_a_way_out(text):
    with pytest.raises(IdentityError, match=r"^/x/identity\.key is damaged: .*new PeerID$") as caught:
        parse_identity(text, "/x/identity.key")
    assert caught.value.code == Exit.IDENTITY_INVALID


def test_the_seed_of_another_peer_is_noticed():
    other = write_identity(Identity(bytes(32)))
    mixed = TEXT.splitlines()[0] + "\n" + other.splitlines()[1] + "\n"
    with pytest.raises(IdentityError, match="its seed is not that of 12D3"):
        parse_identity(mixed, "identity.key")


def test_the_secret_stays_out_of_the_message():
    with pytest.raises(IdentityError) as caught:
        parse_identity(TEXT + "x", "identity.key")
    assert bytes(range(32)).hex() not in str(caught.value)
