import subprocess
import sys

import pytest

from peer.codec.base import CodecError
from peer.codec.formats import FORMATS, blocks_size, bounds_size, failed_size, modulo_size
from peer.codec.registry import agree, get, names


def test_each_name_gets_its_codec() -> None:
    assert names() == ("fp32", "bf16", "int8", "ecsq", "e3m0", "topk", "modulo")
    assert all(get(name).format == FORMATS[name] for name in names(["none", "phi"]))


def test_names_by_what_they_code_against() -> None:
    assert names(["none"]) == ("fp32", "bf16", "int8")
    assert names(["phi"]) == ("ecsq", "e3m0", "topk")
    assert names(["receiver"]) == ("modulo",)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CodecError, match="'int7'; there are fp32, bf16, int8"):
        get("int7")


def test_modulo_is_another_kind() -> None:
    with pytest.raises(CodecError, match=r"use peer\.codec\.modulo"):
        get("modulo")


def test_the_first_of_mine_that_they_know() -> None:
    assert agree(["modulo", "int8", "bf16"], ["bf16", "int8"]) == "int8"
    assert agree(["modulo"], ["bf16"]) is None
    assert agree([], ["bf16"]) is None
    assert agree(["int7"], ["int7"]) is None


def test_a_pair_and_a_group_agree_on_different_kinds() -> None:
    both = ["modulo", "ecsq", "int8"]
    assert agree(both, both, ["none", "receiver"]) == "modulo"
    assert agree(both, both, ["none", "phi"]) == "ecsq"
    assert agree(both, both, ["none"]) == "int8"


@pytest.mark.parametrize(
    ("name", "values", "size"),
    [
        ("fp32", 3, 12),
        ("bf16", 3, 6),
        ("int8", 0, 0),
        ("int8", 256, 258),
        ("int8", 257, 261),
        ("e3m0", 257, 2 * 130),
        ("ecsq", 1025, 4 + 2 * 514),
        ("topk", 4096, 4 + 1029 + 4 + 64 + 16),
        ("modulo", 1024, 17 + 2 + 1024),
    ],
)
def test_sizes_by_hand(name: str, values: int, size: int) -> None:
    assert FORMATS[name].encoded_size(values) == size


def test_sizes_of_modulo_by_hand() -> None:
    assert modulo_size(1025, 3) == 17 + 2 * (2 + 384)
    assert modulo_size(1025, 8) == FORMATS["modulo"].encoded_size(1025)
    assert bounds_size(1025) == 3
    assert [failed_size(values) for values in (0, 1, 8192, 8193)] == [0, 1, 1, 2]
    assert blocks_size(1025, 1) == 4096
    assert blocks_size(1025, 10**9) == 2 * 4096


def test_modulo_at_four_bits_keeps_its_promise() -> None:
    values = 1_000_000
    assert 8 * (modulo_size(values, 4) + bounds_size(values) + failed_size(values)) / values <= 4.05


def test_naming_codecs_does_not_import_torch() -> None:
    """The daemon process names and agrees on codecs, and must never load torch."""
    program = "import sys, peer.codec.registry; sys.exit('torch' in sys.modules)"
    path = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=path, check=False).returncode == 0
