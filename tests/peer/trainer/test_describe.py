"""The answer stands alone on standard output, whatever plug-ins and libraries print."""

import subprocess
import sys

import msgspec

from protocol.describe import Answer, AskTask, Described
from protocol.manifest import Manifest

LOUD = """
import os, sys
from peer.trainer import describe
from protocol.describe import Described

def loud(question):
    print("reading 60,000 images")
    os.system("echo a program")
    print("half a line", end="")
    return Described()

describe.describe = loud
sys.exit(describe.main())
"""


def test_what_is_printed_on_the_way_does_not_stand_in_the_answer(monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    question = AskTask(name="shapes", settings={}, draft=Manifest(founder=bytes(32)))
    done = subprocess.run(
        [sys.executable, "-c", LOUD],
        input=msgspec.json.encode(question),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert msgspec.json.decode(done.stdout, type=Answer) == Described()
    assert all(said in done.stderr for said in (b"reading 60,000 images\n", b"a program\n", b"half a line"))
