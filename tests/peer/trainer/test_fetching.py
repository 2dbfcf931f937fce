"""Which runs may fetch something by themselves."""

from msgspec.structs import replace

from peer.trainer.fetching import fetches
from protocol.manifest import Data, Manifest, Part
from protocol.streamed import Dataset

PLAIN = Manifest(founder=bytes(32))
ROWS = Dataset(name="org/rows", files=bytes(32), end=0)


def test_text_of_this_host_is_not_fetched():
    assert not fetches(PLAIN)
    assert not fetches(replace(PLAIN, data=Data(source="text", sha256=bytes(32))))


def test_rows_are():
    assert fetches(replace(PLAIN, data=Data(source="hf", dataset=ROWS)))
    parts = (Part(source="shakespeare"), Part(source="hf", dataset=ROWS))
    assert fetches(replace(PLAIN, data=Data(source="mixture", mixture=parts)))
