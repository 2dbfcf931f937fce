import struct

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from peer.codec.base import CodecError
from peer.codec.squeeze import Reader, Squeezer

SHRUNK = 1 << 31


def zstd_frame(payload: bytes) -> bytes:
    return struct.pack("<I", len(payload) | SHRUNK) + payload


@given(st.lists(st.binary(max_size=300) | st.binary(max_size=3).map(lambda part: part * 100)))
def test_frames_come_back_in_order(parts: list[bytes]) -> None:
    squeezer = Squeezer()
    reader = Reader(b"".join(squeezer.frame(part) for part in parts))
    assert [bytes(reader.frame(0, 300)) for _ in parts] == parts
    assert reader.left == 0


def test_what_does_not_shrink_stays_as_it_is() -> None:
    assert Squeezer().frame(b"abc") == b"\x03\x00\x00\x00abc"
    assert len(Squeezer().frame(bytes(1000))) < 30


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"\x01\x00", "end early"),
        (struct.pack("<I", 5) + b"four", "end early"),
        (struct.pack("<I", 31) + bytes(31), "announces 31 bytes, at most 30"),
        (struct.pack("<I", 3) + bytes(3), "holds 3 bytes, 4 to 30"),
        (zstd_frame(b"rubbish"), "zstd frame"),
        (zstd_frame(b""), "zstd frame"),
        (zstd_frame(zstandard.compress(bytes(3))), "holds 3 bytes"),
        (zstd_frame(zstandard.compress(bytes(5))[:-1]), "zstd frame"),
    ],
)
def test_a_wrong_frame_is_refused(frame: bytes, reason: str) -> None:
    with pytest.raises(CodecError, match=reason):
        Reader(frame).frame(4, 30)


@pytest.mark.parametrize("announce", [True, False])
def test_a_bomb_is_refused_before_it_is_inflated(announce: bool) -> None:
    """Three kilobytes that hold 100 MB, with and without saying so."""
    bomb = zstandard.ZstdCompressor(write_content_size=announce).compress(bytes(100_000_000))
    with pytest.raises(CodecError, match="announces more than is right, or nothing"):
        Reader(zstd_frame(bomb)).frame(0, 1_000_000)


def test_a_bomb_that_lies_about_its_size_is_refused() -> None:
    bomb = bytearray(zstandard.compress(bytes(100_000_000)))
    parameters = zstandard.get_frame_parameters(bytes(bomb))
    assert parameters.content_size == 100_000_000
    at = bomb.index(struct.pack("<I", 100_000_000))
    bomb[at : at + 4] = struct.pack("<I", 1000)
    with pytest.raises(CodecError, match="zstd frame"):
        Reader(zstd_frame(bytes(bomb))).frame(0, 10_000)


def test_a_second_frame_behind_the_first_is_refused() -> None:
    with pytest.raises(CodecError, match="zstd frame"):
        Reader(zstd_frame(zstandard.compress(bytes(50)) * 2)).frame(0, 100)
