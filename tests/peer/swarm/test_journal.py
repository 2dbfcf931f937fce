import pytest

from peer.errors import HomeError
from peer.swarm.journal import Journal
from peer.swarm.ledger import Ledger
from protocol.identity import Identity
from protocol.pages import PAGE, SignedVotes, sign_page

RUN = bytes(32)
VOTER, CHEAT = Identity(bytes([1] * 32)), Identity(bytes([2] * 32))


def _filled(journal):
    ledger = Ledger(RUN, 2 * PAGE)
    journal.replay(ledger)
    ledger.on_change(lambda _, why: journal.write([why], durably=True))
    return ledger


def _vote(ledger, voter, votes):
    for part in ledger.sign(voter, votes):
        ledger.take(part)


def test_a_ledger_comes_back_with_its_cheats(tmp_path):
    path = tmp_path / "votes"
    ledger = _filled(Journal(path))
    for batch in (b"abc", bytes(PAGE), b"end"):
        _vote(ledger, VOTER, batch)
    _vote(ledger, CHEAT, b"abc")
    forked = sign_page(CHEAT, RUN, 0, b"abX")
    ledger.take(SignedVotes(voter=CHEAT.public_key, start=0, votes=b"abX", signature=forked))
    assert ledger.guilty(CHEAT.public_key)
    size = path.stat().st_size
    again = _filled(Journal(path))
    assert again.digest() == ledger.digest()
    assert path.stat().st_size < size
    assert _filled(Journal(path)).digest() == ledger.digest()


@pytest.mark.parametrize("lost", [1, 40, 100])
def test_half_a_record_at_the_end_is_dropped(tmp_path, lost):
    path = tmp_path / "votes"
    ledger = _filled(Journal(path))
    _vote(ledger, VOTER, b"abc")
    _vote(ledger, VOTER, b"def")
    path.write_bytes(path.read_bytes()[:-lost])
    again = _filled(Journal(path))
    assert again.votes(VOTER.public_key) == b"abc"
    _vote(again, VOTER, b"ghi")
    assert _filled(Journal(path)).votes(VOTER.public_key) == b"abcghi"


def test_what_was_changed_on_disk_is_not_believed(tmp_path):
    path = tmp_path / "votes"
    ledger = _filled(Journal(path))
    _vote(ledger, VOTER, b"abcabcabc")
    path.write_bytes(path.read_bytes().replace(b"abcabcabc", b"abcabcabd"))
    assert _filled(Journal(path)).voters() == []


def test_a_disk_that_refuses_is_named(tmp_path):
    journal = Journal(tmp_path / "nowhere" / "votes")
    with pytest.raises(HomeError, match="nowhere"):
        journal.replay(Ledger(RUN, PAGE))
