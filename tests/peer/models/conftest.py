import hashlib
import os

import pytest
import tokenizers

from protocol.manifest import Tokenizer
from tests.peer.models.homes import make_home, replicas, signed
from tests.peer.models.words import train_tokenizer

os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported


@pytest.fixture(scope="session")
def homes(tmp_path_factory):
    """Three peers of one run, 12 steps each: trained, and apart. To be read only."""
    folder = tmp_path_factory.mktemp("swarm")
    return [make_home(folder / f"peer-{shard}", signed(), shard, 12) for shard in range(3)]


@pytest.fixture(scope="session")
def run(homes):
    """The replicas in those homes."""
    return replicas(homes, signed())


@pytest.fixture(scope="session")
def words(tmp_path_factory):
    """A run with a tokenizer of its own, and one replica of it."""
    folder = tmp_path_factory.mktemp("words")
    file = train_tokenizer(folder / "tokenizer.json")
    known = tokenizers.Tokenizer.from_file(str(file)).get_vocab_size()
    sha256 = hashlib.sha256(file.read_bytes()).digest()
    manifest = signed(tokenizer=Tokenizer(kind="file", vocabulary=known + 3, sha256=sha256))
    home = make_home(folder / "home", manifest, 0, 3, file)
    return replicas([home], manifest, file)
