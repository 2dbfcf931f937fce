"""What is kept in mind of objects on their way, on a virtual clock."""

from types import SimpleNamespace

import pytest
import trio

from peer.swarm.transfers import FORGOTTEN, MOST_LEAVING, Transfers

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def test_two_objects_of_one_peer_are_two_transfers_while_they_last():
    transfers = Transfers()
    large, small = (SimpleNamespace(size=size, received=0) for size in (100, 10))
    with transfers.coming("a", large):
        await trio.sleep(2)
        with transfers.coming("a", small):
            large.received = 50
            assert [(each.size, each.moved, each.seconds) for each in transfers.statistics()] == [
                (100, 50, 2.0),
                (10, 0, 0.0),
            ]
        assert len(transfers.statistics()) == 1
    assert transfers.statistics() == ()


async def test_one_that_fails_is_no_longer_on_its_way():
    transfers = Transfers()
    with pytest.raises(OSError, match="broken"), transfers.coming("a", SimpleNamespace(size=1, received=0)):
        raise OSError("broken")
    assert transfers.statistics() == ()


async def test_who_takes_nothing_more_is_forgotten():
    transfers = Transfers()
    transfers.gave("a", b"object", 100, 10)
    await trio.sleep(FORGOTTEN - 1)
    transfers.gave("a", b"object", 100, 10)
    await trio.sleep(FORGOTTEN - 1)
    (told,) = transfers.statistics()
    assert (told.moved, told.seconds) == (20, 2 * FORGOTTEN - 2)
    await trio.sleep(2)
    assert transfers.statistics() == ()


async def test_pieces_that_are_asked_for_twice_are_no_more_than_the_whole():
    transfers = Transfers()
    for _ in range(3):
        transfers.gave("a", b"object", 100, 60)
    (told,) = transfers.statistics()
    assert told.moved == 100


async def test_only_so_many_are_kept_whatever_others_pull():
    transfers = Transfers()
    for number in range(MOST_LEAVING + 5):
        transfers.gave(f"{number}", b"object", 100, 1)
    told = transfers.statistics()
    assert len(told) == MOST_LEAVING
    assert told[-1].peer_id == f"{MOST_LEAVING + 4}"
