"""A look at a model that is not the built-in one, or at a data set, through a process that may load torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import trio

from peer.config.run_file import RunFile
from peer.daemon.traffic import add
from peer.daemon.trainer_link import ForeignFailureError
from peer.errors import BaseModelError, TrainerError
from peer.programs import python
from peer.trainer import sources
from peer.trainer.tasks.find import find_for
from protocol.describe import (
    Answer,
    AskDataset,
    AskPretrained,
    AskSame,
    AskTask,
    Described,
    NotDescribed,
    Question,
)
from protocol.manifest import Manifest, TextSource
from protocol.streamed import Dataset, Streamed

COMMAND = python("peer.trainer.describe")


@dataclass(frozen=True, slots=True)
class Account:
    """On whose account something is fetched.

    Attributes:
        home: whose month's traffic it counts in.
        download: bytes that may come in a second.
    """

    home: Path
    download: float = math.inf


async def describe(wanted: RunFile, account: Account) -> Described | None:
    """Return what the run file's model is; None for the built-in one.

    Raises:
        PeerError: it cannot be used, or cannot be looked at.
    """
    question = _question(wanted)
    if question is None:
        return None
    found = await _ask(question, account)
    if wanted.own_tokenizer and found.tokenizer is not None and found.tokenizer.sha256 is None:
        raise BaseModelError(
            f"the base model {wanted.base and wanted.base.source} has no tokenizer.json",
            'Name one: tokenizer.kind = "file", with its path and vocabulary',
        )
    return found


async def describe_data(wanted: RunFile, streamed: Streamed, account: Account) -> Dataset | None:
    """Return what one of the run file's data sets is.

    Raises:
        PeerError: it is not there, cannot be used, or cannot be looked at.
    """
    base = _question(wanted) if wanted.own_tokenizer else None
    question = AskDataset(
        streamed=streamed,
        tokenizer=str(wanted.tokenizer_path.absolute()) if wanted.tokenizer_path else None,
        base=base if isinstance(base, AskPretrained) else None,
    )
    return (await _ask(question, account)).dataset


async def check_data(manifest: Manifest, places: Sequence[str], *, content: bool) -> None:
    """See that this host has the manifest's text before anything is fetched.

    Args:
        manifest: names each source by content.
        places: of the sources that each peer brings, in their order.
        content: look at what is in them, too.

    Raises:
        DataError: it has not, or has another one.
    """
    brought = iter(places)
    for part in () if manifest.task else manifest.data.parts:
        path = None
        if part.needs_place:
            place = next(brought, None)
            what = f"a copy of the data set {part.dataset.name}" if part.dataset else "a file"
            path = sources.given(None if place is None else Path(place), what)
        if content and not part.dataset:
            found = await hash_of(part.source, path)
            sources.compare(part, path, found)


async def hash_of(source: TextSource, path: Path | None) -> bytes | None:
    """Return what `content_hash` does, in a thread that is not waited for in the end."""
    return await trio.to_thread.run_sync(  # the stubs that libp2p brings know an older name
        sources.content_hash,
        source,
        path,
        abandon_on_cancel=True,  # type: ignore[call-arg]
    )


async def check_base(manifest: Manifest, place: str | None, account: Account) -> None:
    """See that this host has the manifest's base model, if there is one, before anything else is fetched.

    Raises:
        PeerError: it has not, or has another one.
    """
    if manifest.model.pretrained:
        question = AskSame(pretrained=manifest.model.pretrained, place=place)
        await _ask(question, account, show=True)


async def check_task(manifest: Manifest, allowed: str | None) -> None:
    """See that the manifest's task, if it has one, is here and may run. Nothing of it is run yet.

    Raises:
        TaskError: it is not, or may not.
    """
    if manifest.task:
        await trio.to_thread.run_sync(find_for, manifest.task, allowed)


def _question(wanted: RunFile) -> Question | None:
    if wanted.task is not None:
        return AskTask(name=wanted.task.name, settings=wanted.task.settings, draft=wanted.draft)
    if wanted.base is None:
        return None
    base = wanted.base
    return AskPretrained(
        source=base.source,
        revision=base.revision,
        lora=base.lora,
        context=wanted.draft.model.context,
        folder=str(wanted.path.parent.absolute() / base.source),
    )


async def _ask(question: Question, account: Account, *, show: bool = False) -> Described:
    """Ask in a process of its own, whose words on standard error are shown where they tell of a download."""
    limited = () if math.isinf(account.download) else ("--download", str(account.download))
    done = await trio.run_process(
        [*COMMAND, *limited],
        stdin=msgspec.json.encode(question),
        capture_stdout=True,
        capture_stderr=not show,
        check=False,
    )
    try:
        answer: Answer = msgspec.json.decode(done.stdout, type=Answer)
    except msgspec.MsgspecError as error:
        said = (done.stderr or b"").decode(errors="replace").strip().splitlines()
        raise TrainerError(
            "what the run file names cannot be looked at: "
            f"{said[-1] if said else f'exit code {done.returncode}'}",
            "Try `python -m peer.trainer.describe`; this is a fault of the program or of its libraries",
        ) from error
    if answer.fetched:
        add(account.home, answer.fetched, datetime.now().astimezone().date())
    if isinstance(answer, NotDescribed):
        raise ForeignFailureError(answer)
    return answer
