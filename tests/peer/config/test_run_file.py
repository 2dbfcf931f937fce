from typing import Any

import pytest
from msgspec.structs import replace

from peer.config.describe import toml
from peer.config.run_file import NO_FOUNDER, BaseModel, TaskChoice, read_run_file
from peer.config.sources import Source
from peer.errors import Exit, RunFileError
from protocol.foreign import Lora
from protocol.identity import Identity
from protocol.manifest import Data, Inner, Manifest, Outer, Part, Tokenizer, sign
from protocol.rules import violations
from protocol.streamed import Streamed

DEFAULT = Manifest(founder=NO_FOUNDER)


@pytest.fixture
def read(tmp_path):
    def read(text):
        (tmp_path / "run.toml").write_text(text, encoding="utf-8")
        return read_run_file(tmp_path / "run.toml")

    return read


@pytest.fixture
def mistakes(read, tmp_path):
    def mistakes(text):
        with pytest.raises(RunFileError) as caught:
            read(text)
        assert caught.value.code == Exit.RUN_FILE
        return caught.value.message.replace(f"{tmp_path / 'run.toml'}:", "").splitlines()

    return mistakes


def test_an_empty_file_gives_the_default_manifest(read):
    run = read("")
    assert run.draft == DEFAULT
    assert (run.data_paths, run.tokenizer_path) == ((), None)


def test_every_section_is_read(read):
    run = read(
        'name = "x"\nseed = 3\ncodecs = ["fp32", "int8"]\n'
        "[model]\nlayers = 2\n[inner]\nclip = 2\n[outer]\nevery = 5\n"
    )
    assert (run.draft.name, run.draft.seed, run.draft.codecs) == ("x", 3, ("fp32", "int8"))
    assert (run.draft.model.layers, run.draft.inner.clip, run.draft.outer.every) == (2, 2.0, 5)


@pytest.mark.parametrize("source", ["shakespeare", "python"])
def test_data_may_be_given_by_its_source_alone(read, source):
    assert read(f'data = "{source}"').draft.data == Data(source=source)


PLAIN: dict[str, Any] = {"seeks": 1, "landing": "add", "warming": 0}


@pytest.mark.parametrize(
    ("text", "outer"),
    [
        (
            'preset = "gossip"',
            Outer(
                preset="gossip", alpha=0.8, beta=0.7, mixes=8, seeks=3, landing="blend_by_delay", warming=4
            ),
        ),
        (
            'preset = "gossip"\nmixes = 5',
            Outer(
                preset="gossip", alpha=0.8, beta=0.7, mixes=5, seeks=3, landing="blend_by_delay", warming=4
            ),
        ),
        ('preset = "solo"', Outer(preset="solo", alpha=0.0, beta=1.0, mixes=1, group=1, **PLAIN)),
        (
            'preset = "diloco"',
            Outer(preset="diloco", alpha=0.9, beta=0.7, mixes=1, group=64, overlap=False, **PLAIN),
        ),
        ('preset = "noloco"\nalpha = 0.4', Outer(preset="noloco", alpha=0.4, beta=0.7, mixes=4, **PLAIN)),
        ("alpha = 0.4", Outer(preset="gossip", alpha=0.4)),
    ],
)
def test_the_outer_constants_follow_the_preset_where_they_are_left_out(read, text, outer):
    assert read(f"[outer]\n{text}").draft.outer == outer


def test_paths_are_relative_to_the_file_and_stay_out_of_the_manifest(read, tmp_path):
    run = read(
        '[data]\nsource = "text"\npath = "corpus/a.txt"\n'
        '[tokenizer]\nkind = "file"\nvocabulary = 5000\npath = "/srv/tokenizer.json"'
    )
    assert run.data_paths == (str(tmp_path / "corpus" / "a.txt"),)
    assert str(run.tokenizer_path) == "/srv/tokenizer.json"
    assert run.draft.data == Data(source="text")
    assert run.draft.tokenizer == Tokenizer(kind="file", vocabulary=5000)


def test_the_manifest_gets_its_founder_and_hashes(read):
    founder = Identity(bytes(32))
    run = read('[data]\nsource = "text"\npath = "a.txt"')
    manifest = run.manifest(founder.public_key, parts=(Part(source="text", sha256=bytes(32)),))
    assert violations(manifest) == []
    sign(manifest, founder)
    assert manifest == replace(
        DEFAULT, founder=founder.public_key, data=Data(source="text", sha256=bytes(32))
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[inner]\n\nbatsh = 8",
            "3: inner.batsh is not a key of [inner]; did you mean batch? allowed: "
            + ", ".join(Inner.__struct_fields__),
        ),
        (
            "nmae = 1",
            "1: nmae is not a key; did you mean name? allowed: name, seed, codecs, modulo_bits, [",
        ),
        (
            "\n[modle]\nlayers = 1",
            "2: [modle] is not a section; did you mean model? allowed: model, tokenizer, data, inner",
        ),
        ("model = 3", "1: model = 3 must be a section: write [model] and its keys below it"),
        ("[[inner]]\nbatch = 1", "1: inner = [{batch = 1}] must be a section: write [inner] and its keys"),
        ('[inner]\nbatch = "8"', '2: inner.batch = "8" must be a whole number from 1 to 65536'),
        ("[inner]\nbatch = 8.0", "2: inner.batch = 8.0 must be a whole number from 1 to 65536"),
        ("[inner]\nbatch = true", "2: inner.batch = true must be a whole number from 1 to 65536"),
        ("inner.batch = 0", "1: inner.batch = 0 must be a whole number from 1 to 65536"),
        ("inner = {clip = 1,\n batch = 0}" , "1: not TOML: "),
        ("inner = {clip = 1, batch = 0}", "1: inner.batch = 0 must be a whole number from 1 to 65536"),
        ("[inner]\nclip = nan", "2: inner.clip = NaN must be a number above 0 and at most 1000000"),
        ('outer.preset = "dialog"', '1: outer.preset = "dialog" must be one of "diloco", "gossip", "noloco"'),
        (
            'codecs = [\n"int4"]',
            '1: codecs = ["int4"] must be a list of 1 to 8, each one of "auto", "bf16", "e3m0"',
        ),
        ("founder = 1", "1: founder is not set by hand: it is the key of the peer that makes"),
        ("[model.deep]\nx = 1", "1: model.deep is not a key of [model]; allowed: layers, width"),
        ("a = 1\nb = = 2", "2: not TOML: Invalid value"),
        ("a = [1,\n2", "2: not TOML: Unclosed array"),
        ("a = 1\na = 2", "2: not TOML: Cannot overwrite a value"),
        ("[model]\nwidth = 100\nheads = 3", "2: model.width = 100 must be a multiple of model.heads"),
        ("[inner]\nwarmup = 20_000", "2: inner.warmup = 20000 must be at most inner.steps, which is 10000"),
        ('\n[outer]\npreset = "noloco"\nalpha = 0.9', "2: outer.beta = 0.7 must be above 0 and below "),
        (
            '[outer]\npreset = "noloco"\nalpha = 0.9\nbeta = 0.9',
            "4: outer.beta = 0.9 must be above 0 and below ",
        ),
        ('data = "text"', '1: data.source = "text" needs data.path: a file, relative to this one\'s folder'),
        (
            '[data]\npath = "x"',
            '2: data.path = "x" would never be read, as data.source = "shakespeare": leave it out',
        ),
        (
            '[tokenizer]\nkind = "file"\npath = "t.json"',
            '1: tokenizer.kind = "file" needs tokenizer.vocabulary: a whole number from 2 to 1048576',
        ),
        ("[tokenizer]\nvocabulary = 300", "2: tokenizer.vocabulary = 300 must be 256"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_its_value_and_what_is_allowed(mistakes, text, message):
    (line,) = mistakes(text)
    assert line.startswith(message)


def test_every_mistake_is_listed_in_the_order_of_the_file(mistakes):
    lines = mistakes("seed = -1\n[outer]\nevry = 3\n[inner]\nbatch = 0\n")
    assert [line.split(" ")[:2] for line in lines] == [
        ["1:", "seed"],
        ["3:", "outer.evry"],
        ["5:", "inner.batch"],
    ]


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "9" * 5_000])
def test_a_file_that_toml_chokes_on_is_a_mistake_too(mistakes, text):
    (line,) = mistakes(text)
    assert line.startswith("1: ")


def test_a_missing_file_is_told_how_to_be_made(tmp_path):
    with pytest.raises(RunFileError, match=r"does not exist\. `peer init` writes one"):
        read_run_file(tmp_path / "run.toml")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "run.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(RunFileError, match="not UTF-8 text"):
        read_run_file(tmp_path / "run.toml")


def test_a_folder_in_its_place_is_refused(tmp_path):
    with pytest.raises(RunFileError, match="cannot be read: Is a directory"):
        read_run_file(tmp_path)


def test_a_base_model_is_a_folder_beside_the_file_or_a_name_on_the_hub(read, tmp_path):
    text = '[model]\nkind = "hf"\nsource = "base"\nlora = {rank = 4, targets = ["q_proj"]}\n'
    assert read(text).base == BaseModel("base", None, Lora(rank=4, targets=("q_proj",)))
    (tmp_path / "base").mkdir()
    run = read(text)
    assert run.base.source == str(tmp_path / "base")
    assert run.own_tokenizer
    assert run.draft == DEFAULT
    assert read("").base is None


STREAM = Streamed("org/name", None, None, "train", None, "text", None, 1024)


def test_a_data_set_is_a_folder_or_file_beside_the_file_or_a_name_on_the_hub(read, tmp_path):
    run = read('[data]\nsource = "hf"\ndataset = "org/name"')
    assert run.sources == (Source("hf", 1.0, None, STREAM),)
    assert run.data_paths == ()
    assert run.draft.data == Data(source="hf")
    (tmp_path / "rows.jsonl").write_text("")
    run = read(
        '[data]\nsource = "hf"\ndataset = "../'
        + tmp_path.name
        + '/rows.jsonl"\nsplit = "test"\nend = "</s>"\n'
        'column = "body"\nshuffle = 16\nsubset = "en"\nheld_out_split = "dev"\nrevision = "main"'
    )
    (source,) = run.sources
    here = str(tmp_path / "rows.jsonl")
    assert source.streamed == Streamed(here, "main", "en", "test", "dev", "body", "</s>", 16)
    assert run.data_paths == (here,)


@pytest.mark.parametrize("name", ["~nobody-of-this-name/rows", "n" * 300])
def test_what_cannot_be_a_path_is_a_name_on_the_hub(read, name):
    (source,) = read(f'[data]\nsource = "hf"\ndataset = "{name}"').sources
    assert source.streamed.place == name


@pytest.mark.parametrize("form", ["data = {}", "[data]\nmixture = {}"])
def test_a_mixture_is_of_sources_with_weights(read, tmp_path, form):
    (tmp_path / "rows").mkdir()
    parts = [
        {"source": "shakespeare", "weight": 7},
        {"source": "text", "path": "my.txt", "weight": 0.5},
        {"source": "hf", "dataset": "rows"},
        {"source": "hf", "dataset": "org/name"},
    ]
    run = read(form.format("[\n" + ",\n".join(map(toml, parts)) + "]"))
    assert [(each.kind, each.weight) for each in run.sources] == [
        ("shakespeare", 7.0), ("text", 0.5), ("hf", 1.0), ("hf", 1.0),
    ]  # fmt: skip
    assert run.data_paths == (str(tmp_path / "my.txt"), str(tmp_path / "rows"))
    assert run.draft.data.source == "mixture"
    found = tuple(Part(source=each.kind, weight=each.weight, sha256=bytes(32)) for each in run.sources)
    assert run.manifest(bytes(32), parts=found).data == Data(source="mixture", mixture=found)


def test_a_mixture_may_stand_in_tables_of_its_own_beside_other_keys(read):
    run = read(
        '[data]\nheld_out = 0.1\n[[data.mixture]]\nsource = "python"\n'
        '[[data.mixture]]\nsource = "shakespeare"'
    )
    assert [each.kind for each in run.sources] == ["python", "shakespeare"]
    assert run.draft.data.held_out == 0.1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('data = "hf"', '1: data.source = "hf" needs data.dataset: a folder, a file, or a name on the'),
        ('data = "mixture"', '1: data.source = "mixture" needs data.mixture: a list of 1 to 16 tables'),
        (
            '[data]\n\nsplit = "test"',
            '3: data.split = "test" would never be read, as data.source = "shakespeare": leave it out',
        ),
        ('[data]\nsplit = "x y"', '2: data.split = "x y" must be text of'),
        ("[data]\nshuffle = 0", "2: data.shuffle = 0 must be a whole number from 1 to 65536"),
        ("data = []", "1: data.mixture = [] must be a list of 1 to 16 tables"),
        ("data = [1]", "1: data.mixture = [1] must be a list of 1 to 16 tables"),
        ("[data]\nmixture = 3", "2: data.mixture = 3 must be a list of 1 to 16 tables"),
        (
            '[data]\nmixture = [{source = "text", path = "x"},\n {source = "text"}]',
            '2: data.mixture[1].source = "text" needs data.mixture[1].path: a file, relative to',
        ),
        (
            "[data]\nmixture = [{wieght = 1}]",
            "2: data.mixture[0].wieght is not a key; did you mean weight? allowed: source, weight, path",
        ),
        (
            '[[data.mixture]]\nsource = "mixture"',
            '1: data.mixture[0].source = "mixture" must be one of "hf", "python", "shakespeare"',
        ),
        (
            '[data]\nsource = "text"\npath = "x"\nmixture = [{source = "python"}]',
            '2: data.source = "text" would never be read, as data.mixture is given: leave it out',
        ),
    ],
)
def test_mistakes_about_data_sets_and_mixtures_are_named(mistakes, text, message):
    assert mistakes(text)[0].startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[model]\nkind = "hf"', '1: model.kind = "hf" needs model.source: a folder, or a name on'),
        (
            '[model]\nkind = "hf"\nsource = "x"\nlayers = 9',
            '4: model.layers = 9 would never be read, as model.kind = "hf": leave it out',
        ),
        ('[model]\nsource = "x"', '2: model.source = "x" would never be read, as model.kind = "builtin"'),
        ("[model]\nlora = {rank = 0}", "2: model.lora = {rank = 0} must be a table of rank (a whole number"),
        ('[task]\nname = "x y"', '2: task.name = "x y" must be text of at most 64 characters'),
        ('task = "shapes"', '1: task = "shapes" must be a section: write [task] and its keys below it'),
        ("[task]\nsettings = {width = 3}", "2: task.settings needs task.name: text of at most 64 characters"),
        (
            '[task]\nname = "x"\nsettings = {w = [1]}',
            "3: task.settings = {w = [1]} must be a table of at most 64",
        ),
        (
            '[task]\nname = "x"\nversion = "1"',
            "3: task.version is not set by hand: it is found in the installed",
        ),
        (
            '[model]\nlayers = 3\n[task]\nname = "x"',
            '2: model.layers = 3 would never be read, as task.name = "x": leave it out',
        ),
        ("[model]\npretrained = 1", "2: model.pretrained is not set by hand"),
    ],
)
def test_mistakes_about_models_from_elsewhere_are_named(mistakes, text, message):
    assert mistakes(text)[0].startswith(message)


def test_a_task_is_named_with_its_settings(read):
    text = (
        '[data]\nshards = 8\n[task]\nname = "shapes"\n[task.settings]\nwidth = 32\nnoise = 0.5\nbig = true\n'
    )
    run = read(text)
    assert run.task == TaskChoice("shapes", {"width": 32, "noise": 0.5, "big": True})
    assert run.draft == replace(DEFAULT, data=Data(shards=8))
    assert read('[task]\nname = "shapes"').task == TaskChoice("shapes", {})
    assert read("").task is None


def test_a_task_may_have_as_many_fragments_as_its_own_model_has_layers(read):
    assert read('[outer]\nfragments = 9\n[task]\nname = "shapes"').draft.outer.fragments == 9
