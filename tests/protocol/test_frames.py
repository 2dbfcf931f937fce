import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ProtocolError
from protocol.frames import FrameDecoder, frame

LIMIT = 1000


@given(st.lists(st.binary(max_size=LIMIT), max_size=8), st.integers(min_value=1, max_value=64))
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(bodies, cut):
    stream = b"".join(frame(body, LIMIT) for body in bodies)
    decoder = FrameDecoder(LIMIT)
    out = [body for at in range(0, len(stream), cut) for body in decoder.feed(stream[at : at + cut])]
    assert out == bodies
    assert decoder.buffered == 0


@given(st.binary(max_size=4096))
def test_garbage_is_refused_or_waits_and_is_never_kept_beyond_the_limit(data):
    decoder = FrameDecoder(LIMIT)
    try:
        decoder.feed(data)
    except ProtocolError:
        assert decoder.buffered == 0
    assert decoder.buffered <= LIMIT + 4


def test_a_frame_that_announces_too_much_is_refused_before_its_body_comes():
    with pytest.raises(ProtocolError, match="at most 1000"):
        FrameDecoder(LIMIT).feed((LIMIT + 1).to_bytes(4, "big"))


def test_too_long_a_body_is_never_sent():
    with pytest.raises(ProtocolError):
        frame(bytes(LIMIT + 1), LIMIT)
