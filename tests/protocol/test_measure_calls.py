import pytest

from protocol.codec import decode, encode
from protocol.errors import ProtocolError
from protocol.limits import MAX_MESSAGE
from protocol.measure_calls import MAX_DOWN, MAX_UP, AskBytes, TakeBytes, Taken
from protocol.messages import Answer, Call


@pytest.mark.parametrize("body", [AskBytes(length=MAX_DOWN), TakeBytes(data=bytes(MAX_UP))])
def test_a_call_comes_back_and_fits_into_a_message(body):
    call = Call(run_id=bytes(32), body=body)
    assert decode(encode(call), Call, MAX_MESSAGE) == call


@pytest.mark.parametrize(
    "body", [AskBytes(length=0), AskBytes(length=MAX_DOWN + 1), TakeBytes(data=bytes(MAX_UP + 1))]
)
def test_a_call_out_of_bounds_is_refused(body):
    with pytest.raises(ProtocolError):
        decode(encode(Call(run_id=b"", body=body)), Call, MAX_MESSAGE)


@pytest.mark.parametrize("clock", [-1.0, float("nan"), float("inf"), 1e12])
def test_an_impossible_clock_is_refused(clock):
    with pytest.raises(ProtocolError):
        decode(encode(Taken(clock=clock)), Answer, MAX_MESSAGE)
