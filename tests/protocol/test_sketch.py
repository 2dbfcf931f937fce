import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import decode, encode
from protocol.errors import ProtocolError
from protocol.sketch import HASHES, KEPT, MOST_COUNTED, Sketch, estimate, hash_of, smallest


@given(st.sets(st.integers(0, HASHES - 1), max_size=KEPT - 1))
def test_a_small_set_is_counted(hashes):
    assert estimate(hashes) == len(hashes)


@pytest.mark.parametrize("size", [50, 1_000, 100_000])
def test_a_large_set_is_estimated(size):
    assert estimate(hash_of(str(each)) for each in range(size)) == pytest.approx(size, rel=0.6)


@given(st.sets(st.integers(0, HASHES - 1) | st.integers(0, 100), min_size=1))
def test_an_estimate_is_what_a_sketch_can_hold(hashes):
    sketch = Sketch(known=1, size=estimate(hashes), hashes=smallest(hashes))
    assert sketch.size <= MOST_COUNTED
    assert decode(encode(sketch), Sketch, 4096) == sketch


@given(st.sets(st.integers(0, HASHES - 1)), st.sets(st.integers(0, HASHES - 1)))
def test_sketches_of_parts_make_the_sketch_of_the_whole(one, other):
    assert smallest({*smallest(one), *smallest(other)}) == smallest(one | other)
    assert estimate({*smallest(one), *smallest(other)}) == estimate(one | other)


@pytest.mark.parametrize(
    "sketch",
    [
        Sketch(known=0, size=1, hashes=(1,)),
        Sketch(known=1, size=0, hashes=(1,)),
        Sketch(known=1, size=1 << 40, hashes=(1,)),
        Sketch(known=1, size=1, hashes=()),
        Sketch(known=1, size=1, hashes=(1,) * (KEPT + 1)),
        Sketch(known=1, size=1, hashes=(-1,)),
        Sketch(known=1, size=1, hashes=(HASHES,)),
    ],
)
def test_what_is_out_of_bounds_is_refused(sketch):
    with pytest.raises(ProtocolError):
        decode(encode(sketch), Sketch, 4096)
