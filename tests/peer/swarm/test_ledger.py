import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.swarm.ledger import Ledger, Merge
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.pages import PAGE, Evidence, SignedVotes, sign_page

RUN = bytes(32)
LONGEST = 3 * PAGE
VOTERS = [Identity(bytes([index + 1] * 32)) for index in range(4)]


def ledger(most=512):
    return Ledger(RUN, LONGEST, most=most)


def news_of(voter, *batches):
    """The parts that a voter publishes, batch after batch."""
    own, parts = ledger(), []
    for batch in batches:
        signed = own.sign(voter, batch)
        parts += signed
        for part in signed:
            own.take(part)
    return parts


def told(news, most=512):
    """A ledger that has heard all of it, again and again until nothing is new: gaps fill in time."""
    made = ledger(most)
    while any(made.take(each) is Merge.NEW for each in news):
        pass
    return made


batches = st.lists(st.binary(min_size=1, max_size=6), min_size=1, max_size=4)


@st.composite
def histories(draw):
    """What some honest and some cheating voters have published, in any order and with repetitions."""
    news = []
    for voter in VOTERS[: draw(st.integers(1, 4))]:
        news += news_of(voter, *draw(batches))
        if draw(st.booleans()):
            news += news_of(voter, *draw(batches))
    return draw(st.permutations(news + draw(st.lists(st.sampled_from(news), max_size=3))))


@settings(max_examples=60)
@given(histories(), st.randoms(), st.integers(1, 4))
def test_copies_become_equal_in_any_order(news, chance, most):
    """Merging commutes, associates, and may be repeated: with cheats, and with more voters than places."""
    again = list(news)
    chance.shuffle(again)
    one, other = told(news, most), told(again, most)
    assert one.digest() == other.digest()
    assert one.tallies() == other.tallies()
    assert len(one.voters()) <= most


@settings(max_examples=60)
@given(histories(), st.integers(0, 100))
def test_copies_that_heard_different_halves_become_equal_by_telling_each_other(news, cut):
    one, other = told(news[: cut % len(news)]), told(news[cut % len(news) :])
    for _ in range(3):
        for giver, taker in ((one, other), (other, one)):
            for voter in giver.voters():
                for each in list(giver.parts(voter, 0)):
                    taker.take(each)
    assert one.digest() == other.digest()


def test_a_long_log_is_cut_into_pages_and_put_together():
    voter = VOTERS[0]
    log = bytes(range(256)) * (2 * PAGE // 256) + b"end"
    parts = news_of(voter, log[:100], log[100 : PAGE + 50], log[PAGE + 50 :])
    assert [part.start for part in parts] == [0, 100, PAGE, PAGE + 50, 2 * PAGE]
    made = told(parts)
    assert made.votes(voter.public_key) == log
    relayed = list(made.parts(voter.public_key, 30))
    assert [part.start for part in relayed] == [30, PAGE, 2 * PAGE]
    newcomer = told(made.parts(voter.public_key, 0))
    assert newcomer.digest() == made.digest()


def test_what_leaves_a_gap_or_is_too_long_is_not_taken():
    voter = VOTERS[0]
    first, second = news_of(voter, b"abc", b"def")
    made = ledger()
    assert made.take(second) is Merge.APART
    assert [made.take(first), made.take(second), made.take(first)] == [Merge.NEW, Merge.NEW, Merge.KNOWN]
    assert made.votes(voter.public_key) == b"abcdef"
    long = told(news_of(voter, bytes(LONGEST)))
    assert long.count(voter.public_key) == LONGEST
    (beyond,) = Ledger(RUN, LONGEST + 9).sign(voter, b"x")
    assert long.take(
        SignedVotes(voter=voter.public_key, start=LONGEST, votes=b"x", signature=beyond.signature)
    ) is (Merge.OUTSIDE)
    crossing = SignedVotes(voter=voter.public_key, start=PAGE - 1, votes=b"ab", signature=bytes(64))
    assert long.take(crossing) is Merge.OUTSIDE


def test_forged_votes_are_their_senders_fault():
    (part,) = news_of(VOTERS[0], b"abc")
    forged = SignedVotes(voter=part.voter, start=0, votes=b"abd", signature=part.signature)
    made = ledger()
    with pytest.raises(ProtocolError):
        made.take(forged)
    with pytest.raises(ProtocolError):
        made.take(Evidence(one=part, other=forged))
    assert made.voters() == []


def test_a_cheat_loses_everything_everywhere():
    cheat, honest = VOTERS[:2]
    one = told([*news_of(cheat, b"abc", b"def"), *news_of(honest, b"xyz")])
    heard = []
    one.on_change(lambda voter, why: heard.append((voter, type(why))))
    other_version = sign_page(cheat, RUN, 0, b"abX")
    # The part alone may be any version's; the page as a whole proves the guilt.
    tail = SignedVotes(voter=cheat.public_key, start=2, votes=b"X", signature=other_version)
    assert one.take(tail) is Merge.NEW
    assert one.guilty(cheat.public_key)
    assert one.votes(cheat.public_key) == b""
    assert one.votes(honest.public_key) == b"xyz"
    assert heard == [(cheat.public_key, Evidence)]
    (evidence,) = one.parts(cheat.public_key, 0)
    other = told([*news_of(cheat, b"abc"), *news_of(honest, b"xyz")])
    assert other.take(evidence) is Merge.NEW
    assert other.digest() == one.digest()
    assert all(other.take(part) is Merge.KNOWN for part in news_of(cheat, b"abc", b"more"))


def test_where_places_run_out_all_keep_the_same_voters():
    news = [part for voter in VOTERS for part in news_of(voter, b"v")]
    one, other = ledger(2), ledger(2)
    gone = []
    one.on_change(lambda voter, why: gone.append(voter) if why is None else None)
    for part in news:
        one.take(part)
    for part in reversed(news):
        other.take(part)
    assert one.voters() == other.voters()
    assert len(one.voters()) == 2
    assert not set(gone) & set(one.voters())
