"""What one donor is asked for of a newcomer's state: chunks that it alone is at, each checked when whole."""

from collections import deque
from collections.abc import Callable

from peer.swarm.assembly import Assembly, Source
from peer.swarm.claims import Claims
from peer.swarm.objects import CHUNK, Chunk
from protocol.errors import ProtocolError
from protocol.messages import Piece
from protocol.state_index import chunk_length, chunk_range


class FromDonor:
    """A share of an assembly, as `peer.swarm.pull.Wanted`. A chunk of a large state comes in several pieces.

    Args:
        assembly: takes the chunks in.
        claims: says which are this donor's.
        source: its state.
        on_chunk: hears of each whole chunk of the donor's, whether it was still missing or not.
    """

    def __init__(
        self, assembly: Assembly, claims: Claims, source: Source, on_chunk: Callable[[], None]
    ) -> None:
        self.name = source.index.name
        self.size = assembly.size
        self.received = 0
        self.gave = False
        """Whether a whole chunk has come of it."""
        self._assembly = assembly
        self._claims = claims
        self._source = source
        self._on_chunk = on_chunk
        self._pieces: deque[Chunk] = deque()
        self._open: dict[int, dict[int, bytes | bytearray]] = {}
        """The pieces that are here of each chunk that is claimed, by their offset."""

    @property
    def _donor(self) -> str:
        return self._source.index.peer_id

    def take(self) -> Chunk | None:
        """Return a piece to ask for, or None."""
        self._forget_what_others_gave()
        if not self._pieces and (chunk := self._claims.take(self._donor)) is not None:
            start, length = chunk_range(self.size, chunk)
            end = start + length
            self._open[chunk] = {}
            self._pieces.extend(Chunk(at, min(CHUNK, end - at)) for at in range(start, end, CHUNK))
        return self._pieces.popleft() if self._pieces else None

    def put_back(self, chunk: Chunk) -> None:
        """Let another way to the same donor fetch a piece, if the chunk is still wanted."""
        if chunk.offset // chunk_length(self.size) in self._open:
            self._pieces.appendleft(chunk)

    def came(self, chunk: Chunk, piece: Piece, data: bytes | bytearray) -> None:
        """Take in a piece. Raises as `Assembly.write`."""
        del piece  # What the donor says now counts for nothing: it has signed the hash of the whole chunk.
        if len(data) != chunk.length:
            raise ProtocolError("a piece is not as long as was asked for")
        self.received += len(data)
        number = chunk.offset // chunk_length(self.size)
        parts = self._open.get(number)
        if parts is None:
            return  # Another donor has given all of it meanwhile.
        parts[chunk.offset] = data
        if sum(map(len, parts.values())) == chunk_range(self.size, number)[1]:
            self._release(number)
            whole = b"".join(parts[offset] for offset in sorted(parts))
            self._assembly.write(number, whole, self._source)
            self.gave = True
            self._on_chunk()

    @property
    def untaken(self) -> bool:
        """Whether there is a piece to ask for."""
        self._forget_what_others_gave()
        return bool(self._pieces) or self._claims.has_work(self._donor)

    def finished(self) -> bool:
        """Say whether the donor is of no more use now."""
        return not self.untaken

    def give_up(self) -> None:
        """Leave what has not come whole to other donors."""
        self._pieces.clear()
        for number in list(self._open):
            self._release(number)

    def _forget_what_others_gave(self) -> None:
        """Drop pieces that a way put back and that another donor was faster with."""
        while self._pieces:
            number = self._pieces[0].offset // chunk_length(self.size)
            if number in self._assembly.missing:
                return
            self._pieces.popleft()
            if not any(piece.offset // chunk_length(self.size) == number for piece in self._pieces):
                self._release(number)

    def _release(self, number: int) -> None:
        del self._open[number]
        self._claims.release(number, self._donor)
