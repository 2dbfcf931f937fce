"""Finding a base model: in a folder, or on a Hub that is played here, and never another than the run's."""

import pytest

from peer.errors import BaseModelError
from peer.trainer.describe import describe
from peer.trainer.hf import find
from protocol.describe import AskPretrained
from protocol.foreign import Pretrained
from protocol.layout import Layout
from tests.peer.trainer.hf.test_base import folder

COMMIT = "c" * 40


class Hub:
    """A Hub with one model."""

    def __init__(self, path, sizes=None):
        self.path, self.fetched = path, []
        self.sizes = sizes or {file.name: file.stat().st_size for file in path.iterdir()}

    def files(self, name, revision):
        return COMMIT, self.sizes

    def fetch(self, name, commit):
        self.fetched.append((name, commit))
        return self.path


def named(base, revision=None):
    return Pretrained(
        source=base.source,
        revision=revision,
        config=base.config_hash(),
        weights=base.weights_hash(),
        size=base.size,
        layout=Layout(layer=1),
    )


def test_a_folder_gives_its_name_and_nothing_of_where_it_is(tmp_path):
    found = find.find(str(folder(tmp_path / "my model (2)")))
    assert (found.source, found.revision) == ("my model _2_", None)


def test_a_name_on_the_hub_is_pinned_to_its_commit(tmp_path):
    hub = Hub(folder(tmp_path))
    found = find.find("org/model", "main", hub=hub)
    assert (found.source, found.revision) == ("org/model", COMMIT)
    assert hub.fetched == [("org/model", COMMIT)]


def test_nothing_is_fetched_that_is_larger_than_the_run_says(tmp_path):
    hub = Hub(folder(tmp_path), {"model.safetensors": 10 + find.EXTRAS + 1})
    with pytest.raises(BaseModelError, match="has 67108875 bytes of weights, the run's base model 10"):
        find.find("org/model", limit=10, hub=hub)
    assert hub.fetched == []


@pytest.mark.parametrize("name", ["/no/such/folder", "../up", "a/b/c", "a/..", "x\n"])
def test_what_is_neither_a_folder_nor_a_name_is_refused(tmp_path, name):
    with pytest.raises(BaseModelError, match="there is no folder"):
        find.find(name)


@pytest.mark.parametrize(
    ("name", "fetched"),
    [
        ("config.json", True),
        ("model.safetensors", True),
        ("model-00001-of-00009.safetensors", True),
        ("onnx/model.safetensors", False),
        ("consolidated.safetensors", False),
        ("pytorch_model.bin", False),
        ("modeling_evil.py", False),
    ],
)
def test_only_configuration_tokenizer_and_safetensors_are_fetched(name, fetched):
    assert find._is_fetched(name) is fetched


def test_the_base_of_a_run_is_compared_by_content(tmp_path):
    ours = find.find(str(folder(tmp_path / "ours")))
    wanted = named(ours)
    assert find.find_for(wanted, str(tmp_path / "ours")) == ours
    folder(tmp_path / "other", **{"model.safetensors": b"others!"})
    with pytest.raises(BaseModelError, match="other is not this run's: its weights have the hash"):
        find.find_for(wanted, str(tmp_path / "other"))
    folder(tmp_path / "third", {"model_type": "gpt2"})
    with pytest.raises(BaseModelError, match=r"its config\.json has the hash"):
        find.find_for(wanted, str(tmp_path / "third"))


def test_who_has_no_copy_of_a_founders_folder_is_told_to_name_one(tmp_path):
    wanted = named(find.find(str(folder(tmp_path))))
    with pytest.raises(BaseModelError, match="name your folder with --model"):
        find.find_for(wanted, None)


def test_the_hub_is_asked_for_what_the_manifest_names(tmp_path, monkeypatch):
    hub = Hub(folder(tmp_path))
    monkeypatch.setattr(find, "HuggingFace", lambda: hub)
    wanted = find.find("org/model", hub=hub)
    # A folder of that name is none of the manifest's business.
    folder(tmp_path / "cwd/org/model", {"model_type": "other"})
    monkeypatch.chdir(tmp_path / "cwd")
    assert find.find_for(named(wanted, COMMIT), None).revision == COMMIT
    assert hub.fetched[-1] == ("org/model", COMMIT)


def test_the_real_hub_says_in_one_line_that_it_cannot_be_had(monkeypatch):
    pytest.importorskip("huggingface_hub")
    import huggingface_hub

    def fail(*args, **kwargs):
        raise ConnectionError("no route\nto the Hub")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    with pytest.raises(
        BaseModelError, match="org/model cannot be had from the Hugging Face Hub: no route"
    ) as caught:
        find.find("org/model")
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_named_before_the_hub_is_blamed(monkeypatch):
    def find_nothing(source, revision):
        raise find.NotHadError("models/mine cannot be had", "Check it")

    monkeypatch.setattr(find, "find", find_nothing)
    asked = AskPretrained(
        source="models/mine", revision=None, lora=None, context=8, folder="/runs/models/mine"
    )
    with pytest.raises(BaseModelError, match="no folder /runs/models/mine, and models/mine cannot be had"):
        describe(asked)
