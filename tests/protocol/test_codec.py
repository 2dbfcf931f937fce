import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import control, messages, trainer
from protocol.codec import decode, encode
from protocol.errors import ProtocolError
from protocol.limits import MAX_CHUNK, MAX_MESSAGE
from protocol.messages import AskState, Call, ObjectRef, Offer, Pull

REF = ObjectRef(sha256=bytes(32), size=8)
OFFER = Offer(
    exchange=bytes(16),
    fragment=0,
    outer_step=3,
    tokens=1024,
    standing=64,
    share=REF,
    codec="int8",
    bounds=None,
    decodes=("int8", "fp32"),
)


@pytest.mark.parametrize("body", [AskState(), OFFER, Pull(sha256=bytes(32), offset=0, length=1)])
def test_a_call_comes_out_as_it_went_in(body):
    call = Call(run_id=b"r" * 32, body=body)
    assert decode(encode(call), Call, MAX_MESSAGE) == call


@given(st.binary(max_size=512))
def test_garbage_raises_one_kind_of_error(data):
    for kind in (Call, messages.Answer, trainer.FromTrainer, trainer.ToTrainer, control.ControlCall):
        with pytest.raises(ProtocolError):
            decode(data, kind, MAX_MESSAGE)


@given(st.integers(min_value=0, max_value=200), st.integers(min_value=0, max_value=255))
def test_a_flipped_byte_is_refused_or_still_within_every_bound(at, value):
    data = bytearray(encode(Call(run_id=b"r" * 32, body=OFFER)))
    data[at % len(data)] = value
    try:
        call = decode(bytes(data), Call, MAX_MESSAGE)
    except ProtocolError:
        return
    assert len(call.run_id) <= 32
    if isinstance(call.body, Offer):
        assert len(call.body.exchange) == 16
        assert call.body.share.size >= 1


def test_bounds_hold_before_anything_is_kept():
    with pytest.raises(ProtocolError, match="at most 10"):
        decode(bytes(11), Call, 10)
    for body in [
        {"type": "pull", "sha256": bytes(32), "offset": 0, "length": MAX_CHUNK + 1},
        {"type": "pull", "sha256": bytes(31), "offset": 0, "length": 1},
        {"type": "pull", "sha256": bytes(32), "offset": -1, "length": 1},
        {"type": "ask_state", "surprise": 1},
        {"type": "surprise"},
    ]:
        import msgspec

        with pytest.raises(ProtocolError, match="schema"):
            decode(msgspec.msgpack.encode({"run_id": b"", "body": body}), Call, MAX_MESSAGE)


def test_deep_nesting_is_refused():
    with pytest.raises(ProtocolError):
        decode(b"\x91" * 100_000, Call, MAX_MESSAGE)
