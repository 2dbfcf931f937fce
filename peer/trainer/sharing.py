"""What this peer shares, and what it mixes: the daemon's questions about our shares, answered one by one."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from peer.codec.base import CodecError
from peer.trainer.beside import Turns
from peer.trainer.groups import Groups
from peer.trainer.pairs import Pairs
from peer.trainer.replica import Boundary, Replica
from peer.trainer.shares import RefusalError
from peer.trainer.shelf import Shelf
from protocol.trainer import (
    Assemble,
    Encode,
    EncodeAgain,
    Encoded,
    Mixed,
    Open,
    OpenAgain,
    Opened,
    Parts,
    Reduce,
    Reduced,
    Share,
    Split,
    Theirs,
)

Question: TypeAlias = Encode | Open | EncodeAgain | OpenAgain | Theirs | Split | Reduce | Assemble
Answer: TypeAlias = Encoded | Opened | Mixed | Parts | Reduced

_log = logging.getLogger(__name__)


class Sharing:
    """The sharing of one replica, for a daemon that asks."""

    def __init__(self, replica: Replica, folder: Path, codecs: tuple[str, ...]) -> None:
        self._folder = folder
        self._shelf = Shelf(replica, folder, codecs)
        self._pairs = Pairs(self._shelf)
        self._groups = Groups(self._shelf)

    @property
    def turns(self) -> Turns:
        """Whose turn it is with the replica's weights: `answer` and `drop` wait for theirs."""
        return self._shelf.turns

    @property
    def waiting(self) -> bool:
        """See `Shelf.waiting`."""
        return self._shelf.waiting

    def publish(self, boundary: Boundary) -> Share:
        """See `Shelf.publish`."""
        return self._shelf.publish(boundary)

    def drop(self, share: int) -> None:
        """See `Shelf.drop`."""
        self._shelf.drop(share)

    def keep(self, share: int) -> None:
        """See `Shelf.keep`."""
        self._shelf.keep(share)

    def answer(self, question: Question) -> tuple[Answer | Share, ...]:
        """Do what is asked of one of our shares; the files that came with it are gone then.

        Returns:
            The answer; after a mix also the refreshed share, where the newest was mixed and may be once more.
            A refused mix leaves our share open.

        Raises:
            TrainerError: the weights are not finite.
        """
        try:
            return tuple(self._answer(question))
        except (RefusalError, CodecError, OSError) as error:
            _log.info("share %d: %s refused: %s", question.share, type(question).__name__, error)
            return (_refusal(question, error),)
        finally:
            for name in _files(question):
                (self._folder / name).unlink(missing_ok=True)

    def _answer(self, question: Question) -> Iterator[Answer | Share]:
        match question:
            case Encode():
                yield self._pairs.encode(question)
            case EncodeAgain():
                yield self._pairs.encode_again(question)
            case Open():
                yield self._pairs.open(question)
            case OpenAgain():
                yield self._pairs.open_again(question)
            case Theirs():
                mixed, refreshed = self._pairs.mix(question)
                yield mixed
                if refreshed is not None:
                    yield refreshed
            case _:
                yield self._answer_group(question)

    def _answer_group(self, question: Split | Reduce | Assemble) -> Answer:
        match question:
            case Split():
                return self._groups.split(question)
            case Reduce():
                return self._groups.reduce(question)
            case Assemble():
                return self._groups.assemble(question)


def _files(question: Question) -> list[str]:
    """Return the files that came with a question."""
    match question:
        case Encode():
            names = [question.bounds]
        case EncodeAgain():
            names = [question.failed]
        case Open() | OpenAgain() | Theirs():
            names = [question.file]
        case Split():
            names = []
        case Reduce():
            names = [member.file for member in question.members]
        case Assemble():
            names = list(question.parts)
    return [name for name in names if name is not None]


def _refusal(question: Question, error: Exception) -> Answer:
    """Return the answer that says that something was not done, and whose fault it is."""
    share, reason = question.share, str(error)
    ours = isinstance(error, OSError) or (isinstance(error, RefusalError) and error.ours)
    match question:
        case Encode() | EncodeAgain():
            return Encoded(share=share, body=None, reason=reason, ours=ours)
        case Open() | OpenAgain():
            return Opened(share=share, failed=None, failed_blocks=0, blocks=0, reason=reason, ours=ours)
        case Split():
            return Parts(share=share, parts=())
        case Reduce():
            return Reduced(share=share, part=question.part, body=None, refused=())
        case Theirs() | Assemble():
            return Mixed(
                share=share,
                accepted=False,
                reason=reason,
                distance=0.0,
                relative_distance=0.0,
                late_by=0,
                ours=ours,
            )
