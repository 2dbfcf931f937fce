from collections import Counter
from random import Random

import pytest

from benchmarks.convergence.partners import groups

EIGHT = range(8)


@pytest.mark.parametrize("model", ["random", "rotating"])
@pytest.mark.parametrize("number", range(5))
def test_a_matching_takes_everybody_once_a_round(model: str, number: int) -> None:
    found = groups(model, EIGHT, 8, number, 3, Random(1))  # type: ignore[arg-type]
    for turn in range(3):
        pairs = found[4 * turn : 4 * turn + 4]
        assert sorted(i for pair in pairs for i in pair) == list(EIGHT)


def test_an_odd_one_finds_no_partner() -> None:
    found = groups("random", [0, 1, 2], 3, 0, 1, Random(1))
    assert len(found) == 1
    assert len(found[0]) == 2


def test_three_rotating_rounds_reach_everybody() -> None:
    known = {i: {i} for i in EIGHT}
    for number in range(3):
        for i, j in groups("rotating", EIGHT, 8, number, 1, Random(1)):
            known[i] = known[j] = known[i] | known[j]
    assert all(reached == set(EIGHT) for reached in known.values())


def test_by_view_everybody_seeks_once_and_answers_once_on_average() -> None:
    mixes = Counter(
        i
        for number in range(200)
        for pair in groups("view", EIGHT, 8, number, 1, Random(number))
        for i in pair
    )
    assert sum(mixes.values()) == 200 * 8 * 2
    assert max(mixes.values()) < 1.3 * min(mixes.values())


def test_by_view_those_who_are_not_ready_answer() -> None:
    found = groups("view", [3], 8, 0, 50, Random(2))
    assert {i for i, _ in found} == {3}
    assert len({j for _, j in found}) == 7


def test_groups_of_four_and_of_everybody() -> None:
    halves = groups("four", EIGHT, 8, 0, 1, Random(1))
    assert sorted(map(len, halves)) == [4, 4]
    assert groups("everybody", EIGHT, 8, 0, 1, Random(1)) == [tuple(EIGHT)]
