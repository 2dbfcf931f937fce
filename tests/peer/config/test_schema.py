from peer.config.schema import ASKED, BY_PRESET, COMPUTED, KEYS, LOCAL, SECTIONS, names_in
from protocol.foreign import Task
from protocol.layout import Layout
from protocol.manifest import Manifest
from protocol.presets import Preset


def test_every_field_of_the_manifest_is_a_key_or_computed():
    whole = Manifest(
        founder=bytes(32),
        task=Task(name="x", package="x", version="1", source=bytes(32), layout=Layout()),
    )
    fields = {
        (name, inner) if name in SECTIONS else (name,)
        for name in Manifest.__struct_fields__
        for inner in (getattr(whole, name).__struct_fields__ if name in SECTIONS else [""])
    }
    assert set(KEYS) | set(COMPUTED) == fields | set(LOCAL) | set(ASKED)
    assert not set(KEYS) & set(COMPUTED)


def test_the_top_comes_before_the_sections():
    assert names_in(()) == ["name", "seed", "codecs", "modulo_bits"]
    assert SECTIONS == ("model", "tokenizer", "data", "inner", "outer", "onebyte", "task")


def test_keys_that_follow_the_preset_are_constants_of_presets():
    assert all(path in KEYS and hasattr(Preset, path[-1]) for path in BY_PRESET)
