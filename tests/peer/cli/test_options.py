import pytest

from peer.cli.options import device
from peer.errors import UsageError


@pytest.mark.parametrize(
    "name", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:12", "cuda:0,cuda:3", "cpu,cpu"]
)
def test_a_device_is_taken_by_its_name(name):
    assert device(name) == name


@pytest.mark.parametrize(
    "name", ["", "gpu", "cuda:", "cuda:x", "cuda:1,2", "cuda:1,", "mps,mps", "CPU", "cpu:0"]
)
def test_what_is_no_device_is_refused_with_what_there_is(name):
    with pytest.raises(UsageError, match="Use auto, cpu, mps, cuda, cuda:1 for"):
        device(name)
