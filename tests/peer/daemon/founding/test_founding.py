"""Which run a daemon belongs to, over memory links and a virtual clock."""

import hashlib

import pytest
import trio
from msgspec.structs import replace

from peer.daemon import founding
from peer.daemon.settings import Remembered, recall, remember
from peer.errors import (
    BootstrapError,
    DataError,
    Exit,
    ManifestInvalidError,
    ManifestMismatchError,
    RunFileError,
)
from peer.swarm.transport import Contact
from protocol.manifest import Inner, Manifest, Model, Part, SignedManifest, open_manifest, sign
from protocol.streamed import Dataset
from tests.peer.daemon.founding.place import DOWN, FOUNDER, MANIFEST, NEWCOMER, OTHER, SEALED, THEIRS

# ---- founding


@pytest.mark.anyio
async def test_without_anything_the_default_run_is_founded_and_kept(place, home):
    async with place() as here:
        run = await here.settle()
        assert run.manifest == Manifest(founder=NEWCOMER.public_key)
        assert home.read_manifest() == run.sealed
        assert (run.bootstraps, list(run.cached())) == ((), [])
        assert (await here.settle()).run_id == run.run_id


@pytest.mark.anyio
async def test_a_run_file_founds_its_run(place, run_file):
    async with place() as here:
        run = await here.settle(run_file=run_file('name = "mine"\n[inner]\nbatch = 4\n'))
    assert run.manifest == Manifest(founder=NEWCOMER.public_key, name="mine", inner=Inner(batch=4))
    assert open_manifest(run.sealed) == run.manifest


@pytest.mark.anyio
async def test_the_files_of_a_run_are_named_by_their_content(place, run_file, tmp_path):
    (tmp_path / "text").write_bytes(b"to be or not to be")
    (tmp_path / "tokens.json").write_bytes(b"{}")
    path = run_file(
        '[data]\nsource = "text"\npath = "text"\n'
        '[tokenizer]\nkind = "file"\npath = "tokens.json"\nvocabulary = 300\n'
    )
    async with place() as here:
        manifest = (await here.settle(run_file=path)).manifest
    assert manifest.data.sha256 == hashlib.sha256(b"to be or not to be").digest()
    assert manifest.tokenizer.sha256 == hashlib.sha256(b"{}").digest()


MIXTURE = """
[data]
held_out = 0.1
mixture = [
    {source = "text", path = "text", weight = 2},
    {source = "hf", dataset = "org/name", split = "train", revision = "main"},
    {source = "shakespeare", weight = 0.5},
]
"""
FOUND = Dataset(name="org/name", revision="a" * 40, files=bytes(32), end=255)


@pytest.mark.anyio
async def test_each_part_of_a_mixture_is_looked_at_and_compared(place, run_file, tmp_path, monkeypatch):
    asked = []

    async def look(wanted, streamed, account):
        asked.append(streamed.place)
        return FOUND

    monkeypatch.setattr(founding, "describe_data", look)
    (tmp_path / "text").write_bytes(b"to be or not to be")
    async with place() as here:
        data = (await here.settle(run_file=run_file(MIXTURE))).manifest.data
        assert data.mixture == (
            Part(source="text", sha256=hashlib.sha256(b"to be or not to be").digest(), weight=2.0),
            Part(source="hf", dataset=FOUND),
            Part(source="shakespeare", weight=0.5),
        )
        assert (data.source, data.held_out) == ("mixture", 0.1)
        await here.settle(run_file=run_file(MIXTURE))
        for before, after, differs in (
            ("weight = 2}", "weight = 3}", r"data.mixture\[0\].weight: 3.0 here, 2.0 there\."),
            ('"train"', '"test"', r"data.mixture\[1\].dataset.split: test here, train there\."),
            (
                '{source = "shakespeare", weight = 0.5},',
                "",
                "data.mixture: 2 text, 1 hf here, 2 text, 1 org/name",
            ),
            ('"shakespeare"', '"python"', r"data.mixture\[2\].source: python here, shakespeare there"),
        ):
            with pytest.raises(ManifestMismatchError, match=differs):
                await here.settle(run_file=run_file(MIXTURE.replace(before, after)))
    assert asked == ["org/name"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text",
    [
        '[data]\nsource = "text"\npath = "nowhere"\n',
        '[tokenizer]\nkind = "file"\npath = "nowhere"\nvocabulary = 300\n',
    ],
)
async def test_a_file_that_is_not_there_is_named(place, run_file, home, text):
    async with place() as here:
        with pytest.raises(DataError, match="nowhere"):
            await here.settle(run_file=run_file(text))
    assert home.read_manifest() is None


@pytest.mark.anyio
async def test_a_run_file_with_a_mistake_founds_nothing(place, run_file, home):
    async with place() as here:
        with pytest.raises(RunFileError):
            await here.settle(run_file=run_file("[inner]\nbatch = 0\n"))
    assert home.read_manifest() is None


# ---- going on


@pytest.mark.anyio
async def test_a_home_goes_on_in_its_run_and_knows_whom_it_met(place, home):
    home.write_manifest(SEALED)
    home.write_peers([Contact("12D3a", ("/ip4/192.0.2.7/tcp/1",))])
    async with place() as here:
        run = await here.settle()
    assert (run.sealed, run.manifest) == (SEALED, MANIFEST)
    assert list(run.cached()) == [Contact("12D3a", ("/ip4/192.0.2.7/tcp/1",))]


@pytest.mark.anyio
async def test_a_home_that_knows_its_run_does_not_wait_for_bootstraps_that_are_down(place, home):
    home.write_manifest(SEALED)
    async with place() as here:
        run = await here.settle(bootstraps=(DOWN,))
        assert trio.current_time() < 1
    assert run.run_id == SEALED.run_id
    assert run.bootstraps == (DOWN,)
    assert recall(home.path).bootstraps == ()


@pytest.mark.anyio
async def test_a_run_file_that_says_the_same_may_stay_on_the_command_line(place, home, run_file, tmp_path):
    (tmp_path / "text").write_bytes(b"to be or not to be")
    path = run_file('name = "mine"\n[data]\nsource = "text"\npath = "text"\n')
    async with place() as here:
        founded = await here.settle(run_file=path)
        (tmp_path / "text").unlink()
        assert (await here.settle(run_file=path)).run_id == founded.run_id


@pytest.mark.anyio
async def test_a_run_file_of_another_run_is_refused_with_the_fields_named(place, home, run_file):
    home.write_manifest(SEALED)
    async with place() as here:
        with pytest.raises(ManifestMismatchError) as caught:
            await here.settle(run_file=run_file(THEIRS.replace("batch = 8", "batch = 4")))
    assert caught.value.code == Exit.MANIFEST_MISMATCH
    assert "inner.batch: 4 here, 8 there" in str(caught.value)
    assert "name" not in str(caught.value)
    assert "run.toml" in str(caught.value)
    assert home.read_manifest() == SEALED


# ---- joining


@pytest.mark.anyio
async def test_a_newcomer_takes_the_manifest_of_the_first_that_answers(place, home):
    async with place() as here:
        address = here.holder(FOUNDER)
        run = await here.settle(bootstraps=(DOWN, address))
    assert (run.sealed, run.manifest) == (SEALED, MANIFEST)
    assert run.bootstraps == (DOWN, address)
    assert home.read_manifest() == SEALED


@pytest.mark.anyio
async def test_a_newcomer_may_bring_the_runs_own_file(place, run_file):
    async with place() as here:
        run = await here.settle(bootstraps=(here.holder(FOUNDER),), run_file=run_file(THEIRS))
        assert run.run_id == SEALED.run_id
        with pytest.raises(ManifestMismatchError, match="name: other here, theirs there"):
            await here.settle(bootstraps=run.bootstraps, run_file=run_file(THEIRS.replace("theirs", "other")))


@pytest.mark.anyio
async def test_a_newcomer_whose_bootstraps_are_all_down_founds_nothing(place, home):
    async with place() as here:
        with pytest.raises(BootstrapError, match=OTHER.peer_id) as caught:
            await here.settle(bootstraps=(DOWN,))
    assert caught.value.code == Exit.BOOTSTRAP_UNREACHABLE
    assert home.read_manifest() is None


@pytest.mark.anyio
async def test_who_was_stopped_while_joining_goes_on_joining(place, home, run_file):
    async with place() as here:
        with pytest.raises(BootstrapError) as named:
            await here.settle(bootstraps=(DOWN,))
        with pytest.raises(BootstrapError) as remembered:
            await here.settle()
        assert "remembered" not in str(named.value)
        assert "The address is remembered in this home" in str(remembered.value)
        assert home.read_manifest() is None
        here.holder(OTHER)
        run = await here.settle()
        assert (run.sealed, run.bootstraps) == (SEALED, (DOWN,))
        assert (await here.settle()).bootstraps == (DOWN,)


@pytest.mark.anyio
async def test_who_could_not_join_may_found_a_run_by_a_file(place, run_file):
    async with place() as here:
        with pytest.raises(BootstrapError):
            await here.settle(bootstraps=(DOWN,))
        run = await here.settle(run_file=run_file(THEIRS))
        assert (run.manifest.founder, run.bootstraps) == (NEWCOMER.public_key, ())
        assert (await here.settle()).bootstraps == ()


@pytest.mark.anyio
async def test_a_bootstrap_that_was_down_and_is_of_another_run_does_not_stop_a_home(place, home):
    async with place() as here:
        ours = await here.settle()
        await here.settle(bootstraps=(DOWN,))
        remember(home.path, Remembered(bootstraps=(DOWN,)))
        here.holder(OTHER)
        assert (await here.settle()).run_id == ours.run_id
        with pytest.raises(ManifestMismatchError):
            await here.settle(bootstraps=(DOWN,))


@pytest.mark.anyio
async def test_a_bootstrap_of_another_run_is_not_remembered(place):
    async with place() as here:
        ours = await here.settle()
        with pytest.raises(ManifestMismatchError):
            await here.settle(bootstraps=(here.holder(FOUNDER),))
        assert (await here.settle()).run_id == ours.run_id


@pytest.mark.anyio
async def test_a_home_of_another_run_is_refused_with_the_fields_named(place, home):
    home.write_manifest(SEALED)
    other = sign(
        Manifest(founder=OTHER.public_key, name="other", model=Model(layers=2), inner=Inner(batch=4)), OTHER
    )
    async with place() as here:
        address = here.holder(OTHER, other)
        with pytest.raises(ManifestMismatchError) as caught:
            await here.settle(bootstraps=(address,))
    for field in ("name: theirs here, other there", "model.layers: 4 here, 2 there", "inner.batch: 8 here"):
        assert field in str(caught.value)
    assert address in str(caught.value)
    assert "leave out --bootstrap" in caught.value.remedy
    assert home.read_manifest() == SEALED


# ---- manifests that are not valid


def _broken_rule():
    return sign(replace(MANIFEST, model=Model(width=100, heads=3)), FOUNDER)


def _no_hash():
    return sign(replace(MANIFEST, data=replace(MANIFEST.data, source="text")), FOUNDER)


RULES = pytest.mark.parametrize(
    ("sealed", "reason"), [(_broken_rule(), "model.width is 100"), (_no_hash(), "data.sha256 is absent")]
)


@pytest.mark.anyio
@RULES
async def test_a_manifest_that_breaks_a_rule_is_no_answer(place, home, sealed, reason):
    async with place() as here:
        with pytest.raises(BootstrapError, match=reason):
            await here.settle(bootstraps=(here.holder(FOUNDER, sealed),))
    assert home.read_manifest() is None


@pytest.mark.anyio
@RULES
async def test_a_home_whose_manifest_breaks_a_rule_says_which(place, home, sealed, reason):
    home.write_manifest(sealed)
    async with place() as here:
        with pytest.raises(ManifestInvalidError, match=reason) as caught:
            await here.settle()
    assert caught.value.code == Exit.MANIFEST_INVALID


FORGED = SignedManifest(manifest=SEALED.manifest, signature=bytes(64))
GARBAGE = SignedManifest(manifest=b"\xc1", signature=bytes(64))


@pytest.mark.anyio
@pytest.mark.parametrize("sealed", [FORGED, GARBAGE])
async def test_a_manifest_that_its_founder_did_not_sign_is_no_answer(place, home, sealed):
    async with place() as here:
        with pytest.raises(BootstrapError):
            await here.settle(bootstraps=(here.holder(FOUNDER, sealed),))
        good = here.holder(OTHER)
        bad = f"/memory/{FOUNDER.peer_id}/p2p/{FOUNDER.peer_id}"
        assert (await here.settle(bootstraps=(bad, good))).sealed == SEALED


@pytest.mark.anyio
@pytest.mark.parametrize("sealed", [FORGED, GARBAGE])
async def test_a_damaged_manifest_in_the_home_is_found_before_anybody_is_asked(place, home, sealed):
    home.write_manifest(sealed)
    async with place() as here:
        with pytest.raises(ManifestInvalidError):
            await here.settle(bootstraps=(here.holder(FOUNDER),))
