from peer.swarm.claims import Claims


def test_donors_take_turns_and_none_takes_a_chunk_twice():
    claims = Claims({0, 1, 2})
    assert [claims.take("a"), claims.take("b"), claims.take("a")] == [0, 1, 2]


def test_at_the_end_a_second_donor_tries_what_the_first_is_at_for_longest():
    missing = {0, 1}
    claims = Claims(missing)
    claims.take("a"), claims.take("b")
    assert not Claims(set()).has_work("c")
    assert claims.has_work("c")
    assert claims.take("c") == 0
    assert claims.take("a") == 1
    assert claims.take("b") is claims.take("d") is None, "two donors are enough for one chunk"
    assert not claims.has_work("d")


def test_what_a_donor_failed_to_give_is_taken_by_another_and_what_is_here_by_none():
    missing = {0, 1}
    claims = Claims(missing)
    assert claims.take("a") == 0
    claims.release(0, "a")
    assert claims.take("b") == 0
    missing.clear()
    claims.release(0, "b")
    assert claims.take("a") is None


def test_a_donor_helps_with_one_chunk_at_a_time():
    missing = {0, 1, 2}
    claims = Claims(missing)
    assert [claims.take("slow") for _ in missing] == [0, 1, 2]
    assert claims.take("fast") == 0
    assert claims.take("fast") is None
    assert not claims.has_work("fast")
    missing.discard(0)
    claims.release(0, "fast")
    assert claims.has_work("fast")
    assert claims.take("fast") == 1
