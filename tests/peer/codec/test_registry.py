import subprocess
import sys

import pytest

from peer.codec.base import CodecError
from peer.codec.formats import FORMATS
from peer.codec.registry import agree, get, names


def test_each_name_gets_its_codec() -> None:
    assert names() == ("fp32", "bf16", "int8")
    assert all(get(name).format == FORMATS[name] for name in names())


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CodecError, match="'int7'; there are fp32, bf16, int8"):
        get("int7")


def test_the_first_of_mine_that_they_know() -> None:
    assert agree(["modulo", "int8", "bf16"], ["bf16", "int8"]) == "int8"
    assert agree(["modulo"], ["bf16"]) is None
    assert agree([], ["bf16"]) is None


@pytest.mark.parametrize(
    ("name", "values", "size"),
    [("fp32", 3, 12), ("bf16", 3, 6), ("int8", 0, 0), ("int8", 256, 258), ("int8", 257, 261)],
)
def test_sizes_by_hand(name: str, values: int, size: int) -> None:
    assert FORMATS[name].encoded_size(values) == size


def test_naming_codecs_does_not_import_torch() -> None:
    """The daemon process names and agrees on codecs, and must never load torch."""
    program = "import sys, peer.codec.registry; sys.exit('torch' in sys.modules)"
    path = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=path, check=False).returncode == 0
