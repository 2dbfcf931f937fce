from peer.swarm.goodput import MOST_PARTNERS, SMALLEST, Goodput


def test_what_went_out_counts_before_what_came_in_and_that_before_other_links():
    goodput = Goodput()
    assert goodput.to("a") is None
    goodput.received("b", 10_000, 1.0)
    assert goodput.to("a") == 10_000
    goodput.received("a", 20_000, 1.0)
    assert goodput.to("a") == 20_000
    goodput.sent("a", 5_000, 1.0)
    assert goodput.to("a") == 5_000
    assert goodput.to("b") == 10_000


def test_the_estimate_follows_the_link():
    goodput = Goodput()
    for rate in (8_000, 16_000, 20_000):
        goodput.sent("a", rate * 2, 2.0)
    assert goodput.to("a") == 16_000


def test_small_transfers_and_clocks_that_stand_tell_nothing():
    goodput = Goodput()
    goodput.sent("a", SMALLEST - 1, 1.0)
    goodput.sent("a", SMALLEST, 0.0)
    assert goodput.to("a") is None


def test_only_so_many_partners_are_remembered():
    goodput = Goodput()
    goodput.sent("first", 1_000_000, 1.0)
    for number in range(MOST_PARTNERS):
        goodput.sent(f"{number}", 10_000, 1.0)
    assert goodput.to("first") < 20_000
    assert goodput.to("5") == 10_000


def test_each_way_to_a_partner_is_told_by_itself():
    goodput = Goodput()
    assert goodput.of("a") == (None, None)
    goodput.sent("a", 10_000, 1.0)
    goodput.received("a", 40_000, 2.0)
    assert goodput.of("a") == (20_000, 10_000)
    assert goodput.of("b") == (None, None)
