"""A LoRA fine-tune over three real peers, and what it learned, loaded by `peft`.

The base model is one that the test has taught a little; `benchmarks/lora.py` does this with one of others.
"""

import json
import shutil
import subprocess
import sys

import pytest

from benchmarks.lora import loss_in_peft
from peer.trainer.work import Places
from tests.processes.losses import losses, manifest_of
from tests.processes.support import family

pytest.importorskip("peft", reason="the extra `hf` is not installed")
pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

RUN = """
codecs = ["int8"]
[model]
kind = "hf"
source = "base"
context = 64
lora = {rank = 8, alpha = 16}
[inner]
learning_rate = 5e-3
weight_decay = 0.0
batch = 4
steps = 100000
warmup = 5
[outer]
every = 10
"""
PRETRAINING = 120
LEAST_STEPS = 60


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A Llama that has read some Jane Austen; the run then trains on Shakespeare."""
    import tokenizers
    import torch

    from peer.trainer import sources
    from tests import base_models

    folder = tmp_path_factory.mktemp("lora") / "base"
    folder.mkdir()
    text = sources.embedded("austen")[:400_000].decode()
    base_models.write_tokenizer(folder, text[:100_000])
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = base_models.llama()
    base_models.pretrain(model, torch.tensor(tokenizer.encode(text).ids), PRETRAINING)
    return base_models.save(model, folder)


def test_three_peers_tune_adapters_that_peft_loads(base, tmp_path):
    with family(tmp_path) as members:
        members.run_file.write_text(RUN.replace('"base"', f'"{base}"'))
        first = members.found("first")
        address = first.address
        peers = [first] + [
            members.start(name, "--bootstrap", address, "--model", str(base)) for name in ("second", "third")
        ]
        assert peers[1].wait_for("state_fetched")["size"] < 200_000, "the base travels"
        for peer in peers:
            for _ in range(2):
                peer.wait_for("exchange_done")
        for peer in peers:
            peer.wait_for("share_ready", lambda told: told["inner_step"] >= LEAST_STEPS)
        for name, said in _strangers(members, address, base, tmp_path / "other").items():
            assert len(said) == 1, name
            assert said[0].startswith("peer: ")
        assert members.leave() == [0, 0, 0]

    homes = [tmp_path / name for name in ("first", "second", "third")]
    command = [sys.executable, "-m", "peer", "export", str(tmp_path / "adapter"), "--json"]
    for home in homes:
        command += ["--home", str(home)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    assert (told["model"]["kind"], told["model"]["base"]) == ("adapters", "base")
    assert 0.0 < told["model"]["spread"]["overall"] < 1.0
    found = losses(homes, Places(model=str(base)))
    exported = loss_in_peft(base, tmp_path / "adapter", manifest_of(homes[0]))
    assert found.average < found.start - 0.2
    assert max(found.replicas) < found.start - 0.1
    assert exported == pytest.approx(found.average, abs=1e-4)


def _strangers(members, address, base, other):
    """What peers say whose base model is another one, or not there at all."""
    shutil.copytree(base, other)
    weights = other / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    wrong = members.start("wrong", "--bootstrap", address, "--model", str(other))
    without = members.start("without", "--bootstrap", address)
    assert (wrong.wait(), without.wait()) == (90, 90)
    assert f"{other} is not this run's: its weights have the hash" in wrong.said[0]
    assert "Get a copy of it, and name your folder with --model" in without.said[0]
    return {"wrong": wrong.said, "without": without.said}
