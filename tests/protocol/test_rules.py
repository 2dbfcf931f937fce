import pytest
from msgspec.structs import replace

from peer.config.schema import BY_PRESET
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.limits import MAX_VOTES
from protocol.manifest import PROTOCOL_VERSION, Data, Inner, Manifest, Model, Outer, Tokenizer, sign
from protocol.presets import PRESETS
from protocol.rules import admit, draft_violations, violations
from protocol.stability import allowed_beta

FOUNDER = Identity(bytes(range(32)))
GOOD = Manifest(founder=FOUNDER.public_key)
HASH = bytes(32)


def test_the_default_manifest_breaks_no_rule():
    assert violations(GOOD) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"model": Model(width=100, heads=3)}, ("model", "width")),
        ({"model": Model(width=36, heads=4)}, ("model", "width")),
        ({"tokenizer": Tokenizer(vocabulary=257)}, ("tokenizer", "vocabulary")),
        ({"inner": Inner(warmup=11, steps=10)}, ("inner", "warmup")),
        ({"codecs": ("int8", "fp32", "int8")}, ("codecs",)),
        ({"outer": Outer(preset="noloco", alpha=0.9, beta=0.7)}, ("outer", "beta")),
        ({"outer": Outer(beta=0.0)}, ("outer", "beta")),
    ],
)
def test_a_broken_rule_is_named_with_its_field(change, path):
    manifest = replace(GOOD, **change)
    (violation,) = violations(manifest)
    assert violation.path == path
    assert draft_violations(manifest) == [violation]


def test_every_broken_rule_is_listed():
    manifest = replace(GOOD, model=Model(width=100, heads=3), inner=Inner(warmup=11, steps=10))
    assert [violation.path for violation in violations(manifest)] == [("model", "width"), ("inner", "warmup")]


def test_warm_up_may_last_the_whole_run():
    assert violations(replace(GOOD, inner=Inner(warmup=10, steps=10))) == []


@pytest.mark.parametrize("source", ["python", "text", "tokens"])
def test_data_that_does_not_come_with_the_code_is_named_by_its_hash(source):
    bare = replace(GOOD, data=Data(source=source))
    assert [violation.path for violation in violations(bare)] == [("data", "sha256")]
    assert draft_violations(bare) == []
    assert violations(replace(GOOD, data=Data(source=source, sha256=HASH))) == []


def test_a_tokenizer_file_is_named_by_its_hash_and_has_a_vocabulary_of_its_own():
    bare = replace(GOOD, tokenizer=Tokenizer(kind="file", vocabulary=5000))
    assert [violation.path for violation in violations(bare)] == [("tokenizer", "sha256")]
    assert violations(replace(GOOD, tokenizer=Tokenizer(kind="file", vocabulary=5000, sha256=HASH))) == []


@pytest.mark.parametrize("change", [{"data": Data(sha256=HASH)}, {"tokenizer": Tokenizer(sha256=HASH)}])
def test_a_hash_that_nobody_would_check_is_refused(change):
    (violation,) = violations(replace(GOOD, **change))
    assert violation.path[1] == "sha256"


@pytest.mark.parametrize("name", [name for name in PRESETS if PRESETS[name].optimiser != "none"])
def test_beta_may_come_near_the_end_of_its_stable_range_and_not_reach_it(name):
    preset = PRESETS[name]
    assert preset.optimiser != "none"
    averages_momentum = preset.group > 2
    low, high = allowed_beta(preset.optimiser, averages_momentum, preset.alpha, mixes=1)
    assert low < preset.beta < high
    inside = min(high, 2.0) * (1 - 1e-6)
    constants = {key: preset.value(key, 2) for _, key in BY_PRESET}
    outer = Outer(preset=name, **constants | {"beta": inside})
    assert violations(replace(GOOD, outer=outer)) == []
    if high <= 2.0:
        (violation,) = violations(replace(GOOD, outer=replace(outer, beta=high)))
        assert violation.path == ("outer", "beta")
        assert f"below {high:.3g}" in violation.allowed


def test_solo_mixes_with_nobody_so_its_constants_are_free():
    assert violations(replace(GOOD, outer=Outer(preset="solo", alpha=0.99, beta=2.0, group=1))) == []


@pytest.mark.parametrize(
    ("outer", "allowed"),
    [
        (Outer(group=3, warming=0), "2 where outer.preset is 'gossip'"),
        (Outer(preset="solo"), "1 where outer.preset is 'solo'"),
        (Outer(preset="diloco", group=2), "above 2 where outer.preset is 'diloco'"),
    ],
)
def test_the_group_is_one_that_the_preset_can_form(outer, allowed):
    (violation,) = violations(replace(GOOD, outer=outer))
    assert (violation.path, violation.allowed) == (("outer", "group"), allowed)


@pytest.mark.parametrize(
    ("outer", "why"),
    [
        (Outer(preset="streaming-gossip", fragments=3), "of whole layers"),
        (Outer(preset="streaming-gossip", fragments=2, every=1), "an inner step of its own"),
    ],
)
def test_fragments_are_whole_layers_with_a_step_each(outer, why):
    (violation,) = violations(replace(GOOD, outer=outer))
    assert violation.path == ("outer", "fragments")
    assert why in violation.allowed


@pytest.mark.parametrize(
    ("codecs", "group", "why"),
    [
        (("int8", "int8"), 2, "names no codec twice"),
        (("auto", "fp32"), 2, "alone"),
        (("topk",), 2, "began it alike"),
        (("modulo", "int8"), 8, "made for one receiver"),
        (("auto",), 8, "the link between two peers"),
    ],
)
def test_codecs_are_those_that_the_group_can_use(codecs, group, why):
    outer = Outer() if group == 2 else Outer(preset="diloco", group=group, warming=0)
    (violation,) = violations(replace(GOOD, outer=outer, codecs=codecs))
    assert violation.path == ("codecs",)
    assert why in violation.allowed


def test_a_strangers_manifest_is_refused_with_every_reason():
    manifest = replace(GOOD, model=Model(width=100, heads=3), tokenizer=Tokenizer(vocabulary=300))
    with pytest.raises(ProtocolError) as caught:
        admit(sign(manifest, FOUNDER))
    assert "model.width is 100, must be a multiple of model.heads, which is 3" in str(caught.value)
    assert "tokenizer.vocabulary is 300" in str(caught.value)


def test_a_run_of_another_protocol_is_refused_with_both_versions():
    other = PROTOCOL_VERSION + 1
    with pytest.raises(ProtocolError, match=f"protocol is {other}, must be {PROTOCOL_VERSION}"):
        admit(sign(replace(GOOD, protocol=other), FOUNDER))


def test_a_strangers_sound_manifest_is_opened():
    assert admit(sign(GOOD, FOUNDER)) == GOOD


def test_a_voter_has_room_for_its_votes():
    most = MAX_VOTES // 4
    outer = Outer(preset="onebyte", group=1)
    assert violations(replace(GOOD, outer=outer, inner=Inner(steps=most))) == []
    (violation,) = violations(replace(GOOD, outer=outer, inner=Inner(steps=most + 1)))
    assert violation.path == ("inner", "steps")
    assert violations(replace(GOOD, inner=Inner(steps=most + 1))) == []


@pytest.mark.parametrize(
    ("outer", "allowed"),
    [
        (Outer(seeks=8, mixes=7), "at most outer.mixes, which is 7"),
        (Outer(seeks=2, overlap=False), "1 where outer.overlap is false"),
    ],
)
def test_a_peer_seeks_no_more_than_it_may_mix_or_wait_for(outer, allowed):
    (violation,) = violations(replace(GOOD, outer=outer))
    assert violation.path == ("outer", "seeks")
    assert violation.allowed.startswith(allowed)
