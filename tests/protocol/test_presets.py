"""The constants are written twice, as neither side may import the other: here they are held together."""

from typing import get_args, get_type_hints

import pytest

from peer.config.schema import BY_PRESET
from peer.outer import rule
from protocol.manifest import Model, Outer
from protocol.presets import PRESETS


def test_every_preset_of_the_manifest_has_constants():
    assert set(PRESETS) == set(get_args(get_type_hints(Outer)["preset"]))


def test_every_preset_but_onebyte_is_an_outer_rule():
    assert set(PRESETS) == {*rule.PRESETS, "onebyte"}


@pytest.mark.parametrize("name", rule.PRESETS)
def test_they_are_the_constants_of_the_outer_rule(name):
    ours, theirs = PRESETS[name], rule.PRESETS[name]
    assert ours.optimiser == theirs.optimiser
    assert theirs.shares == (() if ours.optimiser == "none" else ("theta",))
    assert (ours.alpha, ours.beta) == (theirs.alpha, theirs.beta)
    # The manifest's least number of mixes is 1; a rule that shares nothing ignores it.
    assert ours.mixes == max(1, theirs.mixes)
    assert ours.group == theirs.group
    if theirs.shares:
        assert ours.overlap == theirs.overlap
        assert (None if ours.landing == "add" else ours.keep) == theirs.keep
        assert (ours.landing == "blend_by_delay") == theirs.by_delay
        assert ours.warming == theirs.warming


@pytest.mark.parametrize("name", rule.PRESETS)
def test_the_outer_rule_accepts_them(name):
    preset = PRESETS[name]
    derived = rule.derive(name, alpha=preset.alpha, beta=preset.beta, mixes=preset.mixes)
    assert derived.beta == preset.beta


def test_the_manifests_defaults_are_those_of_its_default_preset():
    outer = Outer()
    preset = PRESETS[outer.preset]
    for _, name in BY_PRESET:
        assert getattr(outer, name) == preset.value(name, Model().layers)
