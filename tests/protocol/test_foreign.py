"""Models from elsewhere in a manifest: no trace where there is none, sizes from their layout, rules."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocol.codec import encode
from protocol.errors import ProtocolError
from protocol.foreign import Lora, Pretrained, Task
from protocol.fragments import fragments, layout
from protocol.identity import Identity
from protocol.layout import MOST_PARAMETERS, Layout
from protocol.manifest import Manifest, Model, Outer, Tokenizer, differences, open_manifest, sign
from protocol.rules import admit, violations
from protocol.sizes import parameters

FOUNDER = Identity(bytes(range(32)))
HASH = bytes(32)
LAYOUT = Layout(first=10, layer=100, layers=4, last=5)
BASE = Pretrained(
    source="org/model",
    revision="a" * 40,
    config=HASH,
    weights=HASH,
    size=1000,
    lora=Lora(targets=("q_proj",)),
    layout=LAYOUT,
)
TASK = Task(name="sums", package="murmuration-sums", version="1.0", source=HASH, layout=LAYOUT)
TUNED = Manifest(
    founder=FOUNDER.public_key,
    model=Model(pretrained=BASE),
    tokenizer=Tokenizer(kind="file", vocabulary=512, sha256=HASH),
)


def test_a_manifest_without_them_has_no_trace_of_them():
    plain = encode(Manifest(founder=bytes(32)))
    assert b"pretrained" not in plain
    assert b"task" not in plain


@pytest.mark.parametrize("manifest", [TUNED, Manifest(founder=FOUNDER.public_key, task=TASK)])
def test_a_manifest_with_one_opens_and_is_admitted(manifest):
    sealed = sign(manifest, FOUNDER)
    assert open_manifest(sealed) == admit(sealed) == manifest
    assert parameters(manifest) == 415


@given(st.integers(0, 50), st.integers(1, 50), st.integers(1, 12), st.integers(0, 50), st.data())
def test_fragments_of_any_layout_cover_it_once(first, layer, layers, last, draw):
    where = Layout(first=first, layer=layer, layers=layers, last=last)
    manifest = replace(
        TUNED,
        model=Model(pretrained=replace(BASE, layout=where)),
        outer=Outer(fragments=draw.draw(st.integers(1, layers)), every=20),
    )
    ranges = sorted(piece for part in fragments(manifest) for piece in part.ranges)
    assert (ranges[0][0], ranges[-1][1]) == (0, where.parameters)
    assert all(stop == start for (_, stop), (start, _) in pairwise(ranges))
    assert all(stop > start for start, stop in ranges)


def test_the_built_in_model_has_a_layout_too():
    model = Model(layers=3, width=32, heads=2, hidden=64)
    where = layout(Manifest(founder=HASH, model=model))
    assert (where.first, where.layers, where.last) == (256 * 32, 3, 32)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": Model(pretrained=BASE, sha256=HASH)}, "the first weights come with the model itself"),
        ({"task": TASK}, "absent where the model is a pretrained one"),
        ({"model": Model(pretrained=replace(BASE, lora=Lora()))}, "one that names its targets"),
        ({"outer": Outer(preset="streaming-gossip", fragments=5)}, "at most the model's layers, which are 4"),
        (
            {"model": Model(pretrained=replace(BASE, layout=Layout(layer=MOST_PARAMETERS, layers=2)))},
            f"of at most {MOST_PARAMETERS} parameters",
        ),
    ],
)
def test_what_cannot_be_is_refused(change, said):
    manifest = replace(TUNED, **change)
    assert said in str(violations(manifest)[0])
    with pytest.raises(ProtocolError, match="must be"):
        admit(sign(manifest, FOUNDER))


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "../x"},
        {"package": "-r evil"},
        {"version": "1.0\n"},
        {"source": b"short"},
        {"settings": {"x": [1]}},
        {"settings": {"x-y": 1}},
        {"settings": {"x": "y" * 201}},
        {"settings": {"x": float("nan")}},
        {"settings": {f"x{number}": 1 for number in range(65)}},
        {"layout": {"layer": 0}},
    ],
)
def test_a_task_out_of_its_bounds_is_refused_before_it_is_used(fields):
    import msgspec

    manifest = Manifest(founder=FOUNDER.public_key, task=TASK)
    raw = msgspec.msgpack.decode(encode(manifest))
    raw["task"] |= fields
    sealed = replace(sign(manifest, FOUNDER), manifest=msgspec.msgpack.encode(raw))
    with pytest.raises(ProtocolError, match="schema"):
        open_manifest(sealed)


@pytest.mark.parametrize(
    "fields",
    [
        {"source": "../../etc"},
        {"source": "x\n"},
        {"revision": "-rf"},
        {"config": b"short"},
        {"size": 0},
        {"size": 1 << 60},
        {"layout": {"layer": 0}},
        {"layout": {"layer": 1, "layers": 10**6}},
        {"lora": {"rank": 10**6}},
        {"lora": {"targets": [".*"]}},
        {"lora": {"targets": ["x"] * 65}},
    ],
)
def test_values_out_of_their_range_are_refused_before_they_are_used(fields):
    import msgspec

    raw = msgspec.msgpack.decode(encode(TUNED))
    raw["model"]["pretrained"] |= fields
    sealed = replace(sign(TUNED, FOUNDER), manifest=msgspec.msgpack.encode(raw))
    with pytest.raises(ProtocolError, match="schema"):
        open_manifest(sealed)


def test_differences_are_named_for_people():
    plain = replace(TUNED, model=Model())
    other = replace(TUNED, model=Model(pretrained=replace(BASE, source="other")))
    assert differences(plain, TUNED) == ["model.pretrained: none here, org/model (000000000000) there"]
    assert differences(plain, replace(plain, task=TASK)) == ["task: none here, murmuration-sums 1.0 there"]
    newer = replace(TASK, version="1.1", settings={"width": 8, "big": True})
    assert differences(replace(plain, task=newer), replace(plain, task=TASK)) == [
        "task.version: 1.1 here, 1.0 there",
        "task.settings: big = True, width = 8 here, none there",
    ]
    assert differences(other, TUNED) == ["model.pretrained.source: other here, org/model there"]
