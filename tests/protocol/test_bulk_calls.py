"""What agrees on lanes is bounded."""

import msgspec
import pytest

from protocol.bulk_calls import MOST_LANES, TOKEN_BYTES, AskLanes, LanesAre
from protocol.codec import decode, encode
from protocol.errors import ProtocolError
from protocol.limits import MAX_MESSAGE
from protocol.messages import Answer, Call

TOKEN = bytes(TOKEN_BYTES)


def test_calls_and_answers_survive_the_wire():
    call = Call(run_id=bytes(32), body=AskLanes(certificate=b"c", count=MOST_LANES))
    assert decode(encode(call), Call, MAX_MESSAGE) == call
    answer = LanesAre(port=65535, certificate=b"c", tokens=(TOKEN,) * MOST_LANES)
    assert decode(encode(answer), Answer, MAX_MESSAGE) == answer


@pytest.mark.parametrize(
    "message",
    [
        AskLanes(certificate=b"", count=1),
        AskLanes(certificate=bytes(2049), count=1),
        AskLanes(certificate=b"c", count=0),
        AskLanes(certificate=b"c", count=MOST_LANES + 1),
        LanesAre(port=0, certificate=b"c", tokens=(TOKEN,)),
        LanesAre(port=65536, certificate=b"c", tokens=(TOKEN,)),
        LanesAre(port=1, certificate=bytes(2049), tokens=(TOKEN,)),
        LanesAre(port=1, certificate=b"c", tokens=()),
        LanesAre(port=1, certificate=b"c", tokens=(TOKEN,) * (MOST_LANES + 1)),
        LanesAre(port=1, certificate=b"c", tokens=(TOKEN[:-1],)),
    ],
)
def test_what_is_out_of_bounds_is_refused(message):
    with pytest.raises(ProtocolError):
        decode(msgspec.msgpack.encode(message), type(message), MAX_MESSAGE)
