import errno
import os
import stat
from pathlib import Path

import pytest

from peer.daemon.home import Home, read_identity, write_atomically
from peer.errors import Exit, HomeError, HomeInUseError, IdentityError, ManifestInvalidError
from peer.swarm.transport import Contact
from protocol.identity import Identity
from protocol.limits import MAX_MANIFEST
from protocol.manifest import Manifest, SignedManifest, sign

FOUNDER = Identity(bytes(32))
SEALED = sign(Manifest(founder=FOUNDER.public_key), FOUNDER)


@pytest.fixture
def home(tmp_path):
    with Home.open(tmp_path / "home") as home:
        yield home


def test_a_new_home_is_made_for_its_owner_alone(home):
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    assert home.checkpoints.is_dir()
    assert not home.has_checkpoint()


def test_a_home_has_one_holder_at_a_time(home):
    with pytest.raises(HomeInUseError), Home.open(home.path):
        pass


def test_a_home_is_the_same_by_any_name(home):
    link = home.path.parent / "link"
    link.symlink_to(home.path)
    with pytest.raises(HomeInUseError), Home.open(link):
        pass


def test_a_home_is_free_after_a_failure_inside_it(tmp_path):
    with pytest.raises(ZeroDivisionError), Home.open(tmp_path):
        raise ZeroDivisionError
    with Home.open(tmp_path):
        pass


def test_an_identity_is_made_once_and_kept(home):
    made = home.identity()
    assert home.identity().seed == made.seed
    assert read_identity(home.path).seed == made.seed
    assert stat.S_IMODE((home.path / "identity.key").stat().st_mode) == 0o600


def test_two_homes_are_two_peers(tmp_path):
    assert read_identity(tmp_path / "a").peer_id != read_identity(tmp_path / "b").peer_id


def test_looking_at_the_identity_of_a_new_home_makes_it(tmp_path):
    shown = read_identity(tmp_path / "deep" / "home").peer_id
    with Home.open(tmp_path / "deep" / "home") as home:
        assert home.identity().peer_id == shown


def test_a_damaged_identity_is_never_replaced(home):
    home.identity()
    file = home.path / "identity.key"
    file.write_bytes(b"\xff\x00")
    with pytest.raises(IdentityError):
        home.identity()
    assert file.read_bytes() == b"\xff\x00"


def test_a_manifest_is_kept(home):
    assert home.read_manifest() is None
    home.write_manifest(SEALED)
    assert home.read_manifest() == SEALED


def test_the_largest_manifest_is_kept(home):
    sealed = SignedManifest(manifest=bytes(MAX_MANIFEST), signature=bytes(64))
    home.write_manifest(sealed)
    assert home.read_manifest() == sealed


@pytest.mark.parametrize("data", [b"", b"\xff", b"x" * 100_000])
def test_a_damaged_manifest_is_refused(home, data):
    (home.path / "manifest").write_bytes(data)
    with pytest.raises(ManifestInvalidError, match="manifest is damaged"):
        home.read_manifest()


def test_peers_are_remembered_after_they_have_gone(home):
    assert home.read_peers() == []
    home.write_peers([Contact("a", ("/ip4/1.1.1.1/tcp/1",)), Contact("b", ())])
    home.write_peers([Contact("b", ("/ip4/2.2.2.2/tcp/2",))])
    assert home.read_peers() == [
        Contact("b", ("/ip4/2.2.2.2/tcp/2",)),
        Contact("a", ("/ip4/1.1.1.1/tcp/1",)),
    ]


def test_an_unchanged_view_is_not_written_again(home):
    home.write_peers([Contact("a", ())])
    (home.path / "peers").unlink()
    home.write_peers([Contact("a", ())])
    assert not (home.path / "peers").exists()
    home.write_peers([Contact("b", ())])
    assert home.read_peers() == [Contact("b", ())]


def test_a_cache_that_cannot_be_written_is_done_without(home):
    (home.path / "peers").mkdir()
    home.write_peers([Contact("a", ())])
    assert home.read_peers() == []


def test_a_checkpoint_is_seen_once_it_is_whole(home):
    (home.checkpoints / ".new-step-00000001").mkdir()
    assert not home.has_checkpoint()
    (home.checkpoints / "step-00000001").mkdir()
    assert home.has_checkpoint()


def test_a_file_in_the_homes_place_is_refused(tmp_path):
    (tmp_path / "home").write_text("")
    with (
        pytest.raises(HomeError, match=r"Cannot use .*home: it is a file") as caught,
        Home.open(tmp_path / "home"),
    ):
        pass
    assert caught.value.code == Exit.HOME_UNUSABLE


def _refuse(*details, **more):
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@pytest.mark.parametrize("call", ["mkdir", "resolve"])
def test_a_home_without_permission_is_refused(tmp_path, monkeypatch, call):
    monkeypatch.setattr(Path, call, _refuse)
    with pytest.raises(HomeError, match="Permission denied"), Home.open(tmp_path / "home"):
        pass


@pytest.mark.parametrize("call", ["fsync", "fdopen"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    file = tmp_path / "x"
    write_atomically(file, b"old")
    monkeypatch.setattr(os, call, _refuse)
    with pytest.raises(HomeError, match="Permission denied"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_is_replaced_whole(tmp_path):
    write_atomically(tmp_path / "x", b"a longer text")
    write_atomically(tmp_path / "x", b"short")
    assert (tmp_path / "x").read_bytes() == b"short"
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]
