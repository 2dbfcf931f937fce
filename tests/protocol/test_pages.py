import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import decode, encode
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.pages import PAGE, Evidence, News, SignedVotes, sign_page, verify_evidence, verify_page

RUN = bytes(32)
CHEAT = Identity(bytes(range(32)))


def version(votes, *, signer=CHEAT, page=0, run=RUN):
    signature = sign_page(signer, run, page, votes)
    return SignedVotes(voter=signer.public_key, start=page * PAGE, votes=votes, signature=signature)


@given(st.binary(min_size=1, max_size=PAGE), st.integers(0, 127))
def test_a_page_proves_who_voted(votes, page):
    part = version(votes, page=page)
    assert decode(encode(part), News, 8192) == part
    verify_page(part.voter, RUN, page, votes, part.signature)
    for other in [(RUN, page + 1, votes), (bytes([1] * 32), page, votes), (RUN, page, votes + b"\0")]:
        with pytest.raises(ProtocolError):
            verify_page(part.voter, *other, part.signature)


def test_two_versions_prove_guilt():
    verify_evidence(Evidence(one=version(b"abc"), other=version(b"abd")), RUN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (version(b"abc"), version(b"abcd")),
        (version(b"abc"), version(b"abc")),
        (version(b"abc"), version(b"abd", page=1)),
        (version(b"abc"), version(b"abd", signer=Identity(bytes(32)))),
        (version(b"abc"), version(b"abd", run=bytes([1] * 32))),
        (version(b"abc"), SignedVotes(voter=CHEAT.public_key, start=0, votes=b"x", signature=bytes(64))),
        (version(b"abc"), SignedVotes(voter=CHEAT.public_key, start=1, votes=b"x", signature=bytes(64))),
    ],
    ids=["grew", "same", "pages", "voters", "run", "forged", "tail"],
)
def test_nothing_else_does(one, other):
    for evidence in (Evidence(one=one, other=other), Evidence(one=other, other=one)):
        with pytest.raises(ProtocolError):
            verify_evidence(evidence, RUN)
