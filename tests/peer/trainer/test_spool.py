import hashlib

import pytest
import torch

from peer.codec.base import CodecError
from peer.codec.registry import get, names
from peer.trainer import spool


def values(seed: int) -> torch.Tensor:
    return torch.randn(700, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("codec", names())
def test_a_file_holds_what_was_written(tmp_path, codec):
    tensors = (values(0), values(1))
    written = spool.write(tmp_path / "share", get(codec), tensors)
    content = (tmp_path / "share").read_bytes()
    assert (written.name, written.size) == ("share", len(content))
    assert written.sha256 == hashlib.sha256(content).digest()
    out = (torch.empty(700), torch.empty(700))
    spool.read(tmp_path / "share", get(codec), out)
    for wrote, got in zip(tensors, out, strict=True):
        torch.testing.assert_close(got, wrote, atol=0.05, rtol=0.02)
        assert torch.equal(got, wrote) or codec != "fp32"


def test_a_file_of_another_length_is_refused(tmp_path):
    spool.write(tmp_path / "share", get("fp32"), (values(0),))
    for count in (699, 701, 0):
        with pytest.raises(CodecError, match="are right"):
            spool.read(tmp_path / "share", get("fp32"), (torch.empty(count),))


def test_nothing_is_overwritten(tmp_path):
    spool.write(tmp_path / "share", get("fp32"), (values(0),))
    with pytest.raises(FileExistsError):
        spool.write(tmp_path / "share", get("fp32"), (values(0),))
    assert spool.fresh(tmp_path, "share") != spool.fresh(tmp_path, "share")
