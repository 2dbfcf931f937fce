"""The answer stands alone on standard output, whatever plug-ins and libraries print."""

import math
import subprocess
import sys
from contextlib import nullcontext

import msgspec
from msgspec.structs import replace

from peer.errors import BaseModelError
from peer.trainer import describe as module
from peer.trainer.describe import fetches
from protocol.describe import Answer, AskDataset, AskPretrained, AskSame, AskTask, Described, NotDescribed
from protocol.manifest import Manifest
from protocol.streamed import Streamed
from tests.protocol.test_foreign import BASE

ROWS = Streamed(
    place="/data", revision=None, subset=None, split="train", held_out_split=None, column="text", end=None,
    shuffle=0,
)  # fmt: skip
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


def test_only_what_may_come_from_the_hub_is_metered(tmp_path):
    here, hub = str(tmp_path), "org/name"
    base = AskPretrained(source=here, revision=None, lora=None, context=8)
    asked = AskDataset(streamed=ROWS, tokenizer=None, base=base)
    assert not fetches(base)
    assert not fetches(AskSame(pretrained=BASE, place=here))
    assert not fetches(asked)
    assert fetches(replace(base, source=hub))
    assert fetches(AskSame(pretrained=BASE, place=hub))
    assert fetches(AskSame(pretrained=BASE, place=None))
    assert fetches(replace(asked, base=replace(base, source=hub)))
    assert fetches(replace(asked, streamed=replace(ROWS, place=hub)))
    assert fetches(AskTask(name="shapes", settings={}, draft=Manifest(founder=bytes(32))))


def test_what_came_before_it_failed_is_told(monkeypatch):
    meters = []

    def describe(question):
        meters[0].came(700)
        raise BaseModelError("it is another", "Take the right one")

    monkeypatch.setattr(module, "describe", describe)
    monkeypatch.setattr(module, "metered", lambda intake: meters.append(intake) or nullcontext())
    answer = module._answer(AskSame(pretrained=BASE, place=None), math.inf)
    assert isinstance(answer, NotDescribed)
    assert (answer.message, answer.fetched) == ("it is another", 700)


def test_a_folder_is_known_again_without_the_libraries_of_the_hub(tmp_path):
    code = "import sys; from peer.trainer.describe import main; main(); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=msgspec.json.encode(AskSame(pretrained=BASE, place=str(tmp_path))),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert isinstance(msgspec.json.decode(done.stdout, type=Answer), NotDescribed)
    assert not {b"huggingface_hub", b"httpx2"} & set(done.stderr.split())
