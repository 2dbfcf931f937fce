"""`python -m peer.trainer.describe`: how a model or data from elsewhere stand in a manifest, for the daemon.

A process of its own, as the daemon never loads torch: a question on standard input, an answer on standard
output. Torch is loaded only where the answer needs it.
"""

import argparse
import math
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import msgspec
from msgspec.structs import replace

from peer.errors import BaseModelError, PeerError
from peer.trainer import sources
from peer.trainer.hf import find
from peer.trainer.hf.base import Base
from peer.trainer.hf.intake import Intake, metered
from protocol.describe import (
    MAX_DESCRIPTION,
    Answer,
    AskDataset,
    AskPretrained,
    AskSame,
    AskTask,
    Described,
    NotDescribed,
    Question,
)
from protocol.foreign import Lora, Pretrained, Task
from protocol.manifest import Tokenizer
from protocol.streamed import Dataset


def describe(question: Question) -> Described:
    """Return what enters the manifest.

    Raises:
        PeerError: there is no such model or task here, or it cannot be used.
    """
    if isinstance(question, AskPretrained):
        return _pretrained(question)
    if isinstance(question, AskSame):
        find.find_for(question.pretrained, question.place)
        return Described()
    if isinstance(question, AskDataset):
        return _dataset(question)
    return _task(question)


def _dataset(asked: AskDataset) -> Described:
    from peer.trainer.hf import dataset
    from peer.trainer.streams import end

    tokenizer = None if asked.tokenizer is None else Path(asked.tokenizer)
    if asked.base is not None:
        tokenizer = _find(asked.base).tokenizer
    wanted = asked.streamed
    found = dataset.find(wanted.place, wanted.revision, wanted.subset)
    splits = dataset.splits_of(wanted)
    for split in splits:
        found.rows(split, wanted.column)
    seen = Dataset(
        name=found.name,
        revision=found.revision,
        files=found.hash(splits),
        end=end.token(tokenizer, wanted.end),
    )
    return Described(dataset=wanted.like(seen))


def _find(asked: AskPretrained) -> Base:
    try:
        return find.find(asked.source, asked.revision)
    except find.NotHadError as error:
        if asked.folder is None:
            raise
        raise find.NotHadError(
            f"there is no folder {asked.folder}, and {error.message}", error.remedy
        ) from error


def _pretrained(asked: AskPretrained) -> Described:
    from peer.trainer.hf import lora, net
    from peer.trainer.layout import layout_of

    base = _find(asked)
    config, bare = net.read_config(base), net.skeleton(base)
    _check_context(asked.context, getattr(config, "max_position_embeddings", None), base.source)
    adapters = asked.lora
    if adapters is not None:
        targets = adapters.targets or lora.linear_names(bare)
        adapters = Lora(rank=adapters.rank, alpha=adapters.alpha, targets=targets)
        lora.attach(bare, adapters, 0)
    tokenizer = base.tokenizer
    return Described(
        pretrained=Pretrained(
            source=base.source,
            revision=base.revision,
            config=base.config_hash(),
            weights=base.weights_hash(),
            size=base.size,
            lora=adapters,
            layout=layout_of(bare),
        ),
        tokenizer=Tokenizer(
            kind="file",
            vocabulary=config.get_text_config().vocab_size,
            sha256=sources.file_hash(tokenizer) if tokenizer else None,
        ),
    )


def _task(asked: AskTask) -> Described:
    from peer.trainer.tasks import find as plugins
    from peer.trainer.tasks import work

    plugin = plugins.find(asked.name)
    layout = work.rehearse(plugin, asked.draft, asked.settings)
    return Described(
        task=Task(
            name=asked.name,
            package=plugin.package,
            version=plugin.version,
            source=plugin.source,
            settings=asked.settings,
            layout=layout,
        )
    )


def _check_context(context: int, longest: int | None, name: str) -> None:
    if longest is not None and context > longest:
        raise BaseModelError(f"{name} reads at most {longest} tokens at once", "Lower model.context")


def fetches(question: Question) -> bool:
    """Whether something may come from the Hub for the answer. Nobody knows that of a plug-in's task."""
    if isinstance(question, AskPretrained):
        return find.folder_of(question.source) is None
    if isinstance(question, AskSame):
        return question.place is None or find.folder_of(question.place) is None
    if isinstance(question, AskDataset):
        base = question.base is not None and fetches(question.base)
        return base or not question.streamed.is_here
    return True


def _answer(question: Question, rate: float) -> Answer:
    """Describe it, or say why not, and what was fetched for that, at so many bytes a second at the most."""
    came: list[int] = []
    # Libraries that it does without take time to load.
    meter = metered(Intake(came.append, rate)) if fetches(question) else nullcontext()
    answer: Answer
    try:
        with meter:
            answer = describe(question)
    except PeerError as error:
        answer = NotDescribed(code=int(error.code), message=error.message, remedy=error.remedy)
    return replace(answer, fetched=sum(came))


def _rate() -> float:
    parser = argparse.ArgumentParser(prog="peer.trainer.describe")
    parser.add_argument("--download", type=float, default=math.inf, help="bytes a second that may be fetched")
    rate: float = parser.parse_args().download
    return rate


def main() -> int:
    """Answer one question; what goes wrong is an answer too."""
    with os.fdopen(os.dup(1), "wb") as output:
        # Plug-ins and libraries print, at any time and in any way: all that goes where warnings go.
        os.dup2(2, 1)
        asked = msgspec.json.decode(sys.stdin.buffer.read(MAX_DESCRIPTION), type=Question)
        output.write(msgspec.json.encode(_answer(asked, _rate())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
