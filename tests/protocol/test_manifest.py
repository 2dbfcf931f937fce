import msgspec
import pytest

from protocol.codec import encode
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.manifest import Inner, Manifest, Outer, SignedManifest, differences, open_manifest, sign

FOUNDER = Identity(b"f" * 32)


@pytest.fixture
def manifest():
    return Manifest(founder=FOUNDER.public_key)


def test_one_manifest_has_one_encoding_one_id_and_opens(manifest):
    sealed = sign(manifest, FOUNDER)
    assert open_manifest(sealed) == manifest
    assert sign(manifest, FOUNDER).run_id == sealed.run_id
    assert len(sealed.run_id) == 32
    other = sign(msgspec.structs.replace(manifest, seed=1), FOUNDER)
    assert other.run_id != sealed.run_id


def test_the_encoding_does_not_change_between_versions(manifest):
    """A new default or field order would split every run; such a change must be meant."""
    known = "53de6caa4cbe24e9710c3df00929e95cdd27058c17a50caf87767b29c2bb13e9"
    assert sign(manifest, FOUNDER).run_id.hex() == known


def test_a_changed_manifest_is_refused(manifest):
    sealed = sign(manifest, FOUNDER)
    forged = encode(msgspec.structs.replace(manifest, inner=Inner(batch=16)))
    with pytest.raises(ProtocolError, match="signature"):
        open_manifest(SignedManifest(manifest=forged, signature=sealed.signature))


def test_somebody_elses_seal_is_refused(manifest):
    intruder = Identity(b"i" * 32)
    data = encode(manifest)
    with pytest.raises(ProtocolError, match="signature"):
        open_manifest(SignedManifest(manifest=data, signature=intruder.sign("manifest", data)))
    with pytest.raises(ValueError, match="another founder"):
        sign(manifest, intruder)


def test_a_second_encoding_of_the_same_manifest_is_refused(manifest):
    fields = msgspec.msgpack.decode(encode(manifest))
    loose = msgspec.msgpack.encode(dict(reversed(list(fields.items()))))
    sealed = SignedManifest(manifest=loose, signature=FOUNDER.sign("manifest", loose))
    with pytest.raises(ProtocolError, match="canonical"):
        open_manifest(sealed)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("inner", "batch", 0),
        ("inner", "learning_rate", -1.0),
        ("inner", "kind", "adagrad"),
        ("outer", "alpha", 1.0),
        ("model", "layers", 10**6),
        ("model", "surprise", 1),
        ("data", "source", "http"),
    ],
)
def test_values_out_of_their_range_are_refused(manifest, section, key, value):
    fields = msgspec.msgpack.decode(encode(manifest))
    fields[section][key] = value
    data = msgspec.msgpack.encode(fields)
    with pytest.raises(ProtocolError, match="schema"):
        open_manifest(SignedManifest(manifest=data, signature=FOUNDER.sign("manifest", data)))


def test_differences_name_each_field_with_both_values(manifest):
    other = Manifest(
        founder=Identity(b"g" * 32).public_key,
        inner=Inner(batch=16),
        outer=Outer(preset="noloco"),
        codecs=("fp32", "bf16"),
    )
    lines = differences(manifest, other)
    assert "inner.batch: 8 here, 16 there" in lines
    assert "outer.preset: gossip here, noloco there" in lines
    assert "codecs: int8 here, fp32, bf16 there" in lines
    assert len(lines) == 4
    assert differences(manifest, manifest) == []
