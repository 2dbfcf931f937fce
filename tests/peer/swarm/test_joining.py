"""Fetching the manifest before a peer belongs to a run."""

import msgspec
import pytest
import trio

from peer.errors import BootstrapError, ManifestMismatchError
from peer.simulate.flock import Flock
from peer.swarm.joining import fetch_manifest
from protocol.codec import encode
from protocol.identity import Identity
from protocol.manifest import Inner, Manifest, SignedManifest, sign
from protocol.messages import AskManifest, ManifestIs

pytestmark = pytest.mark.anyio
NEWCOMER = Identity(b"n" * 32)


def _manifest(founder):
    return Manifest(founder=founder, codecs=("fp32",))


async def _with_founder(tmp_path, use):
    flock = Flock(tmp_path, _manifest)
    founder = flock.hatch()
    guest = flock.network.add(NEWCOMER.peer_id)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(founder.fly)
        nursery.start_soon(guest.serve)
        await founder.swarm.serving.wait()
        await use(flock, founder, guest)
        nursery.cancel_scope.cancel()
    return founder


async def test_a_newcomer_gets_the_sealed_manifest(tmp_path):
    async def use(flock, founder, guest):
        sealed = await fetch_manifest(guest, founder.transport.addresses, None)
        assert sealed.run_id == flock.run_id

    await _with_founder(tmp_path, use)


async def test_another_run_is_refused_with_the_fields_named_on_both_sides(tmp_path):
    mine = sign(Manifest(founder=NEWCOMER.public_key, codecs=("fp32",), inner=Inner(batch=16)), NEWCOMER)

    async def use(flock, founder, guest):
        with pytest.raises(ManifestMismatchError, match=r"inner\.batch: 16 here, 8 there"):
            await fetch_manifest(guest, founder.transport.addresses, mine)

    founder = await _with_founder(tmp_path, use)
    [(peer_id, fields)] = founder.record.refusals
    assert peer_id == NEWCOMER.peer_id
    assert "inner.batch: 8 here, 16 there" in fields


@pytest.mark.parametrize("forgery", ["altered", "unsigned", "garbage", "breaks a rule"])
async def test_a_manifest_that_is_not_what_its_founder_sealed_is_no_manifest(tmp_path, forgery):
    async def serve(caller, call):
        intruder = Identity(b"i" * 32)
        manifest = _manifest(intruder.public_key)
        sealed = sign(manifest, intruder)
        match forgery:
            case "altered":
                altered = encode(msgspec.structs.replace(manifest, seed=9))
                sealed = SignedManifest(manifest=altered, signature=sealed.signature)
            case "unsigned":
                sealed = SignedManifest(manifest=sealed.manifest, signature=bytes(64))
            case "garbage":
                sealed = SignedManifest(manifest=b"garbage", signature=bytes(64))
            case _:
                sealed = sign(msgspec.structs.replace(manifest, codecs=("fp32", "fp32")), intruder)
        return ManifestIs(manifest=sealed)

    async def use(flock, founder, guest):
        founder.swarm.service.serve(AskManifest, serve)
        with pytest.raises(BootstrapError):
            await fetch_manifest(guest, founder.transport.addresses, None)

    await _with_founder(tmp_path, use)


async def test_nobody_there_is_one_error_that_names_every_address(tmp_path):
    async def use(flock, founder, guest):
        nobody = (f"/memory/x/p2p/{Identity(bytes(32)).peer_id[:-1]}x", "/memory/y/p2p/y")
        with pytest.raises(BootstrapError) as refused:
            await fetch_manifest(guest, nobody, None)
        assert all(address in str(refused.value) for address in nobody)

    await _with_founder(tmp_path, use)
