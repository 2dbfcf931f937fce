"""What hosts ask each other about reaching: nothing that is out of bounds gets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import decode, encode
from protocol.errors import ProtocolError
from protocol.limits import MAX_ADDRESS
from protocol.reach_calls import (
    MAX_PUNCHED,
    MAX_REACH,
    NONCE_BYTES,
    AskCircuit,
    AskDialBack,
    AskReservation,
    Connected,
    Declined,
    DialledBack,
    Incoming,
    Punch,
    PunchNow,
    ReachAnswer,
    ReachCall,
    Reserved,
)

CALLS = [
    AskDialBack(port=4001, nonce=bytes(NONCE_BYTES)),
    AskReservation(),
    AskCircuit(peer_id="12D3KooW"),
    Incoming(peer_id="12D3KooW"),
    Punch(addresses=("a" * MAX_ADDRESS,) * MAX_PUNCHED),
    PunchNow(),
]
ANSWERS = [
    DialledBack(host="192.0.2.1", port=1, result="silent"),
    Reserved(seconds=60.0),
    Connected(),
    Punch(addresses=()),
    Declined(reason="no"),
]


@pytest.mark.parametrize("message", CALLS)
def test_a_call_comes_back_as_it_was(message):
    assert decode(encode(message), ReachCall, MAX_REACH) == message


@pytest.mark.parametrize("message", ANSWERS)
def test_an_answer_comes_back_as_it_was(message):
    assert decode(encode(message), ReachAnswer, MAX_REACH) == message


@pytest.mark.parametrize(
    "message",
    [
        AskDialBack(port=0, nonce=bytes(NONCE_BYTES)),
        AskDialBack(port=65536, nonce=bytes(NONCE_BYTES)),
        AskDialBack(port=4001, nonce=bytes(NONCE_BYTES - 1)),
        AskDialBack(port=4001, nonce=bytes(NONCE_BYTES + 1)),
        AskCircuit(peer_id=""),
        AskCircuit(peer_id="x" * 65),
        Punch(addresses=("a",) * (MAX_PUNCHED + 1)),
        Punch(addresses=("a" * (MAX_ADDRESS + 1),)),
        Punch(addresses=("",)),
    ],
)
def test_a_call_out_of_bounds_is_refused(message):
    with pytest.raises(ProtocolError):
        decode(encode(message), ReachCall, MAX_REACH)


@pytest.mark.parametrize(
    "message",
    [
        DialledBack(host="x" * 46, port=1, result="silent"),
        DialledBack(host="192.0.2.1", port=1, result="certainly"),  # type: ignore[arg-type]
        Reserved(seconds=float("nan")),
        Reserved(seconds=float("inf")),
        Reserved(seconds=0.0),
        Declined(reason="x" * 600),
    ],
)
def test_an_answer_out_of_bounds_is_refused(message):
    with pytest.raises(ProtocolError):
        decode(encode(message), ReachAnswer, MAX_REACH)


@given(st.binary(max_size=300))
def test_noise_is_refused(data):
    for kind in (ReachCall, ReachAnswer):
        try:
            message = decode(data, kind, MAX_REACH)
        except ProtocolError:
            continue
        assert decode(encode(message), kind, MAX_REACH) == message
