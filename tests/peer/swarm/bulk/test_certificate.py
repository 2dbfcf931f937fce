"""Our certificate for lanes."""

import tempfile

import pytest

from peer.swarm.bulk.certificate import Certificate


def test_without_a_temporary_folder_there_are_no_lanes_and_nothing_worse(monkeypatch, tmp_path):
    """Both sides take a `ValueError` for "no lanes"; an `OSError` would end what the lanes were for."""
    ours, theirs = Certificate.fresh(), Certificate.fresh()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    for use in (ours.calling, ours.answering):
        with pytest.raises(ValueError, match="our own certificate"):
            use(theirs.der)
