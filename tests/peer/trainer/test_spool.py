import hashlib

import pytest
import torch

from peer.codec.base import CodecError
from peer.codec.formats import FORMATS
from peer.codec.registry import get
from peer.trainer import spool

CODECS = [name for name, known in FORMATS.items() if known.reference != "receiver"]
EXACT = [name for name in CODECS if FORMATS[name].exact_size]


def values(seed: int) -> torch.Tensor:
    return torch.randn(700, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("codec", EXACT)
def test_a_file_holds_what_was_written(tmp_path, codec):
    tensors = (values(0), values(1))
    written = spool.write(tmp_path / "share", get(codec), tensors)
    content = (tmp_path / "share").read_bytes()
    assert (written.file, written.size) == ("share", len(content))
    assert written.sha256 == hashlib.sha256(content).digest()
    out = (torch.empty(700), torch.empty(700))
    spool.read(tmp_path / "share", get(codec), out)
    for wrote, got in zip(tensors, out, strict=True):
        assert ((got - wrote).abs() <= get(codec).error_bound(wrote)).all()


@pytest.mark.parametrize("codec", [name for name in CODECS if name not in EXACT])
def test_a_codec_of_variable_size_has_a_file_for_itself(tmp_path, codec):
    spool.write(tmp_path / "share", get(codec), (values(0),))
    out = torch.empty(700)
    spool.read(tmp_path / "share", get(codec), (out,))
    assert torch.equal(out, get(codec).decode((tmp_path / "share").read_bytes(), 700))
    with pytest.raises(ValueError, match="cannot be told apart"):
        spool.read(tmp_path / "share", get(codec), (out, out))
    for content in (b"", bytes(10_000)):
        (tmp_path / "share").write_bytes(content)
        with pytest.raises(CodecError):
            spool.read(tmp_path / "share", get(codec), (out,))


def test_a_file_of_another_length_is_refused(tmp_path):
    spool.write(tmp_path / "share", get("fp32"), (values(0),))
    for count in (699, 701, 0):
        with pytest.raises(CodecError, match="are right"):
            spool.read(tmp_path / "share", get("fp32"), (torch.empty(count),))


def test_nothing_is_overwritten(tmp_path):
    spool.write(tmp_path / "share", get("fp32"), (values(0),))
    with pytest.raises(FileExistsError):
        spool.write(tmp_path / "share", get("fp32"), (values(1),))
    assert (tmp_path / "share").read_bytes() == get("fp32").encode(values(0))
    assert spool.fresh(tmp_path, "share") != spool.fresh(tmp_path, "share")


def test_what_cannot_be_encoded_leaves_no_file(tmp_path):
    with pytest.raises(CodecError):
        spool.write(tmp_path / "share", get("fp32"), (values(0), values(1) / 0))
    assert not (tmp_path / "share").exists()
