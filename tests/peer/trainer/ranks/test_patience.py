from peer.trainer.ranks.patience import AT_FIRST, LEAST, LONGER, LOOK, Patience


def looks_until_over(one):
    looks = 1
    while not one.is_over():
        looks += 1
    return looks


def take_a_step(one, looks):
    with one.stepping():
        assert not any(one.is_over() for _ in range(looks))


def test_while_nobody_waits_nothing_takes_too_long():
    one = Patience()
    assert not any(one.is_over() for _ in range(2000))
    with one.waiting():
        pass
    assert not any(one.is_over() for _ in range(2000))


def test_what_was_never_done_may_take_long():
    one = Patience()
    for waiting in (one.waiting, one.stepping):
        with waiting():
            assert looks_until_over(one) == AT_FIRST / LOOK + 1


def test_a_step_may_take_several_times_as_long_as_those_before():
    one = Patience()
    take_a_step(one, 1)
    with one.waiting():
        assert looks_until_over(one) == LEAST / LOOK + 1
    take_a_step(one, 100)
    take_a_step(one, 2)
    with one.waiting():
        assert looks_until_over(one) == LONGER * 100 + 1


def test_a_step_that_fails_says_nothing_of_the_next():
    one = Patience()
    try:
        with one.stepping():
            raise RuntimeError
    except RuntimeError:
        pass
    with one.waiting():
        assert looks_until_over(one) == AT_FIRST / LOOK + 1
