"""What is free on a disk is the system's to say; what is needed follows from the model."""

from peer.daemon.disk import look
from protocol import sizes
from protocol.manifest import Manifest

MANIFEST = Manifest(founder=bytes(32))


def test_a_checkpoint_and_one_more_must_find_room(tmp_path):
    told = look(tmp_path, MANIFEST)
    assert told is not None
    assert told.free > 0
    assert told.needed == 4 * sizes.state_bytes(MANIFEST)


def test_a_folder_that_is_gone_tells_nothing(tmp_path):
    assert look(tmp_path / "gone", MANIFEST) is None
