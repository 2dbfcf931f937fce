"""Data sets and mixtures in a manifest: their bounds and rules, and how two manifests differ in them."""

import msgspec
import pytest
from msgspec.structs import replace

from protocol.codec import decode, encode
from protocol.errors import ProtocolError
from protocol.limits import MAX_MANIFEST
from protocol.manifest import MAX_PARTS, Data, Manifest, Model, Part, differences
from protocol.rules import violations
from protocol.streamed import HUB_NAME, Dataset

HASH = bytes(32)
SET = Dataset(name="org/name", revision="a" * 40, files=HASH, end=255)
PARTS = (Part(source="shakespeare", weight=0.7), Part(source="hf", dataset=SET, weight=0.3))
MIXED = Manifest(founder=HASH, data=Data(source="mixture", mixture=PARTS))


def test_a_run_without_them_has_no_trace_of_them():
    plain = encode(Manifest(founder=HASH))
    assert b"mixture" not in plain
    assert b"dataset" not in plain


def test_every_source_is_a_part():
    assert Data().parts == (Part(source="shakespeare"),)
    assert Data(source="hf", dataset=SET).parts == (Part(source="hf", dataset=SET),)
    assert MIXED.data.parts == PARTS


@pytest.mark.parametrize(
    ("part", "needs"),
    [
        (Part(source="shakespeare"), False),
        (Part(source="python", sha256=HASH), False),
        (Part(source="text", sha256=HASH), True),
        (Part(source="tokens", sha256=HASH), True),
        (Part(source="hf", dataset=SET), False),
        (Part(source="hf", dataset=replace(SET, revision=None)), True),
    ],
)
def test_some_sources_each_peer_brings(part, needs):
    assert part.needs_place is needs


@pytest.mark.parametrize(
    "data",
    [
        Data(source="hf", dataset=SET),
        Data(source="hf", dataset=replace(SET, revision=None, name="my rows")),
        MIXED.data,
        Data(source="mixture", mixture=PARTS * (MAX_PARTS // 2)),
    ],
)
def test_sound_ones_break_no_rule_and_fit(data):
    manifest = Manifest(founder=HASH, data=data)
    assert violations(manifest) == []
    assert decode(encode(manifest), Manifest, MAX_MANIFEST) == manifest


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (Data(source="hf"), "data.dataset is absent, must be there where the source is 'hf'"),
        (Data(dataset=SET), "data.dataset is org/name, must be absent where the source is 'shakespeare'"),
        (
            Data(source="hf", sha256=HASH, dataset=SET),
            "data.sha256 is 000000000000, must be absent where data.source",
        ),
        (Data(source="mixture"), "data.mixture is absent, must be there"),
        (Data(mixture=PARTS), "data.mixture is there, must be absent where data.source is 'shakespeare'"),
        (
            Data(source="mixture", mixture=PARTS, sha256=HASH),
            "data is a hash, must be without one of its own",
        ),
        (
            Data(source="mixture", mixture=(*PARTS, Part(source="text"))),
            "data.mixture[2].sha256 is absent, must be there where data.mixture[2].source is 'text'",
        ),
        (
            Data(source="hf", dataset=replace(SET, end=256)),
            "data.dataset.end is 256, must be below tokenizer.vocabulary",
        ),
        (
            Data(source="hf", dataset=replace(SET, name="json")),
            "data.dataset.name is json, must be a name on the Hub",
        ),
    ],
)
def test_a_broken_rule_is_named(data, said):
    (violation,) = violations(Manifest(founder=HASH, data=data))
    assert str(violation).startswith(said)


def test_what_is_shuffled_fits_into_memory():
    data = Data(source="hf", dataset=replace(SET, shuffle=65536))
    assert violations(Manifest(founder=HASH, data=data)) == []
    (violation,) = violations(Manifest(founder=HASH, data=data, model=Model(context=4096)))
    assert (
        str(violation) == "data.dataset.shuffle is 65536, must be at most 16384 where model.context is 4096"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../etc"),
        ("revision", "main"),
        ("split", "train[:1%]"),
        ("subset", "../x"),
        ("files", b"short"),
        ("end", -1),
        ("shuffle", 0),
        ("shuffle", 1 << 20),
        ("column", ""),
    ],
)
def test_values_out_of_their_range_are_refused(field, value):
    raw = msgspec.msgpack.decode(encode(MIXED))
    raw["data"]["mixture"][1]["dataset"][field] = value
    with pytest.raises(ProtocolError, match="schema"):
        decode(msgspec.msgpack.encode(raw), Manifest, MAX_MANIFEST)


def test_a_mixture_has_a_bounded_number_of_parts_with_weights():
    for parts in ((), PARTS * MAX_PARTS):
        raw = encode(replace(MIXED, data=Data(source="mixture", mixture=parts)))
        with pytest.raises(ProtocolError, match="schema"):
            decode(raw, Manifest, MAX_MANIFEST)
    with pytest.raises(ProtocolError, match="schema"):
        decode(encode(Part(source="python", weight=0.0)), Part, 100)


@pytest.mark.parametrize(
    "name", ["json", "buckets/x", "a/b/c", "/a/b", "../b", "org/na me", "hf://datasets/a", ""]
)
def test_names_that_could_mean_something_else_are_no_names_on_the_hub(name):
    assert HUB_NAME.match("org/na.me-2")
    assert not HUB_NAME.match(name)


def test_differing_fields_are_named_part_by_part():
    other = (replace(PARTS[0], weight=0.5), replace(PARTS[1], dataset=replace(SET, revision="b" * 40)))
    assert differences(MIXED, replace(MIXED, data=replace(MIXED.data, mixture=other))) == [
        "data.mixture[0].weight: 0.7 here, 0.5 there",
        f"data.mixture[1].dataset.revision: {'a' * 40} here, {'b' * 40} there",
    ]
    assert differences(MIXED, replace(MIXED, data=replace(MIXED.data, mixture=PARTS[:1]))) == [
        "data.mixture: 0.7 shakespeare, 0.3 org/name (000000000000) here, 0.7 shakespeare there"
    ]
    assert differences(
        Manifest(founder=HASH), Manifest(founder=HASH, data=Data(source="hf", dataset=SET))
    ) == [
        "data.source: shakespeare here, hf there",
        "data.dataset: none here, org/name (000000000000) there",
    ]
