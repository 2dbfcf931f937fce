from dataclasses import replace

import pytest

from peer.outer.rule import BY_DEPTH, EVERYBODY, PRESETS, Rule, derive


def test_the_presets_constants() -> None:
    noloco, gossip, solo = PRESETS["noloco"], PRESETS["gossip"], PRESETS["solo"]
    assert (noloco.alpha, noloco.beta, noloco.shares, noloco.mixes) == (0.5, 0.7, ("theta",), 4)
    assert (gossip.alpha, gossip.beta, gossip.shares, gossip.mixes) == (0.8, 0.7, ("theta",), 8)
    assert replace(gossip, name="streaming-gossip", fragments=BY_DEPTH) == PRESETS["streaming-gossip"]
    assert (solo.shares, solo.group) == ((), 1)
    diloco, streaming = PRESETS["diloco"], PRESETS["streaming-diloco"]
    assert (diloco.alpha, diloco.beta, diloco.shares, diloco.overlap) == (0.9, 0.7, ("theta",), False)
    assert (streaming.alpha, streaming.beta, streaming.shares, streaming.overlap) == (
        0.9,
        0.4,
        ("theta",),
        True,
    )
    assert diloco.group == streaming.group == EVERYBODY
    assert {name for name, rule in PRESETS.items() if rule.fragments == BY_DEPTH} == {
        "streaming-gossip",
        "streaming-diloco",
    }
    assert all(name == rule.name for name, rule in PRESETS.items())


def test_derive_replaces_only_what_it_is_given() -> None:
    assert derive("gossip") == PRESETS["gossip"]
    strict = derive("noloco", overlap=False)
    assert strict == Rule("noloco", "heavy_ball", ("theta",), 0.5, 0.7, overlap=False, mixes=4)
    tuned = derive("gossip", alpha=0.0, beta=0.4, mixes=3)
    assert (tuned.alpha, tuned.beta, tuned.mixes, tuned.overlap) == (0.0, 0.4, 3, True)


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        ({"alpha": 1.0}, "alpha is 1.0"),
        ({"alpha": -0.1}, "alpha is -0.1"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"beta": 0.0}, "beta is 0.0"),
        ({"beta": float("inf")}, "beta is inf"),
        ({"mixes": 0}, "mixes is 0"),
        ({"group": 1}, "group is 1"),
        ({"fragments": -1}, "fragments is -1"),
        ({"keep": -0.1}, "keep is -0.1"),
        ({"keep": 1.1}, "keep is 1.1"),
    ],
)
def test_a_constant_outside_its_range_is_refused_by_name(overrides: dict[str, float], names: str) -> None:
    with pytest.raises(ValueError, match=names):
        derive("noloco", **overrides)  # type: ignore[arg-type]


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'noloko'; there are noloco, gossip, streaming-gossip, diloco"):
        derive("noloko")


def test_nothing_is_shared_without_an_outer_optimiser() -> None:
    with pytest.raises(ValueError, match="nothing to share"):
        Rule("odd", "none", ("theta",), alpha=0.0, beta=1.0, overlap=False, mixes=1)
