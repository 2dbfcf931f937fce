"""A founder's look at a model from elsewhere, through the real process that looks."""

import json
import sys
from dataclasses import replace

import pytest

from peer.config.run_file import read_run_file
from peer.daemon import describing
from peer.daemon.describing import Account, check_base, describe
from peer.daemon.trainer_link import ForeignFailureError
from peer.errors import BaseModelError, Exit
from protocol.describe import Described
from protocol.manifest import Tokenizer
from protocol.rules import violations

pytestmark = pytest.mark.anyio
RUN = '[model]\nkind = "hf"\nsource = "base"\ncontext = 64\nlora = {rank = 2, targets = ["q_proj"]}\n'


@pytest.fixture
def wanted(tmp_path):
    pytest.importorskip("peft", reason="the extra `hf` is not installed")
    from tests import base_models

    base_models.save(base_models.llama(), tmp_path / "base")
    (tmp_path / "base/tokenizer.json").write_text("{}")
    (tmp_path / "run.toml").write_text(RUN)
    return read_run_file(tmp_path / "run.toml")


@pytest.fixture
def account(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return Account(home)


async def test_a_built_in_model_is_not_looked_at(tmp_path, account):
    (tmp_path / "run.toml").write_text("")
    assert await describe(read_run_file(tmp_path / "run.toml"), account) is None


async def test_a_base_model_is_described_and_known_again(wanted, account):
    found = await describe(wanted, account)
    manifest = wanted.manifest(bytes(32), described=found)
    assert violations(manifest) == []
    assert (manifest.tokenizer.kind, manifest.tokenizer.vocabulary) == ("file", 512)
    assert manifest.model.pretrained.source == "base"
    assert manifest.model.pretrained.layout.parameters == 2 * 2 * (64 + 64)
    await check_base(manifest, wanted.base.source, account)
    with pytest.raises(ForeignFailureError, match="there is no folder /nowhere") as caught:
        await check_base(manifest, "/nowhere", account)
    assert caught.value.code == Exit.BASE_INVALID


async def test_a_base_model_without_a_tokenizer_asks_for_one(wanted, account, monkeypatch):
    async def ask(question, account):
        return Described(tokenizer=Tokenizer(kind="file", vocabulary=512))

    monkeypatch.setattr(describing, "_ask", ask)
    with pytest.raises(BaseModelError, match=r"has no tokenizer\.json"):
        await describe(wanted, account)


FETCHING = """
import sys
fetched = 5_000_000 if sys.argv[1:] == ["--download", "1250000.0"] else 7
print('{"type": "described", "fetched": %d}' % fetched)
"""


async def test_what_comes_for_it_counts_in_the_month_and_keeps_to_the_limit(wanted, account, monkeypatch):
    monkeypatch.setattr(describing, "COMMAND", (sys.executable, "-c", FETCHING))

    async def counted(account):
        await describe(wanted, account)
        return sum(json.loads((account.home / "traffic.json").read_bytes()).values())

    assert await counted(account) == 7
    assert await counted(replace(account, download=1.25e6)) == 5_000_007
    failed = '"failed", "code": 39, "message": "it is another", "remedy": "",'
    failing = FETCHING.replace('"described",', failed)
    monkeypatch.setattr(describing, "COMMAND", (sys.executable, "-c", failing))
    with pytest.raises(ForeignFailureError, match="it is another"):
        await counted(account)
    assert sum(json.loads((account.home / "traffic.json").read_bytes()).values()) == 5_000_014
