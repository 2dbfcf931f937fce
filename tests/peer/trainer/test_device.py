import pytest
import torch

from peer.errors import DeviceError
from peer.trainer.device import choose, upload


def test_auto_is_a_gpu_where_there_is_one():
    assert choose("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "meta", "cpu:3", "toaster", ""])
def test_what_is_not_here_is_refused(name):
    with pytest.raises(DeviceError):
        choose(name)


def test_upload_keeps_the_batch():
    batch = torch.arange(6).view(2, 3)
    device = choose("auto")
    there = upload(batch, device)
    assert there.device.type == device.type
    assert there.tolist() == batch.tolist()
