"""A peer gets slow weights, momentum and progress from several donors at once: new, or left far behind."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import trio

from peer.errors import HomeError
from peer.swarm.assembly import Assembly, Source
from peer.swarm.calls import RefusedError, ask
from peer.swarm.claims import Claims
from peer.swarm.from_donor import FromDonor
from peer.swarm.objects import CHUNK
from peer.swarm.pace import Pace
from peer.swarm.pull import Puller
from peer.swarm.transport import Contact, Transport, TransportError
from peer.swarm.view import View
from protocol.errors import ProtocolError
from protocol.messages import AskState, Busy, Full, StateIs
from protocol.state_index import chunk_length, open_index

MOST_DONORS = 4
"""Donors at once: each loses some of its uplink, and four home uplinks fill most home downlinks."""

WORTH = 2
"""Chunks for which it is worth letting one more donor write its state."""

PATIENCE = 30.0
"""Seconds that a donor's trainer may take to write its state."""

NO_CHUNK = 60.0
"""Seconds without a whole chunk after which the donor is left: one that drips must not hold us. For
chunks of 512 KiB that is below 9 kB/s, at which nobody could take part in a run of such a size."""

HOPELESS = 60.0
"""Seconds without any sign that somebody has a state, after which a newcomer starts from the seed."""

STALLED = 3.0
"""Seconds without a chunk after which more donors are asked than the missing chunks would need. Each has to
write its state, so a small one is asked of one donor first."""

RETRY = 5.0
"""Seconds until a donor that has no state, or no place, is asked again, at the most."""

MOST_BEHIND = 16
"""Outer steps that kept chunks may be behind the first donor that is met after a restart. Two states 14 apart
were measured to be mixed as well as any (`peer.swarm.assembly`)."""


@dataclass(frozen=True, slots=True)
class JoiningStatistics:
    """How far a newcomer is."""

    size: int
    received: int
    """Bytes that are here and checked."""
    rate: float
    """Bytes a second, lately."""
    seconds_left: float | None
    """At that rate; None while nothing comes."""
    donors: int
    """Of whom something is being fetched now."""
    lies: int
    """Times that a donor sent what it had not signed, or what makes no sense."""


class Newcomer:
    """Asks the peers in view for their state, and fetches chunks of it from several, until it is whole.

    Args:
        transport: reaches them.
        puller: fetches from them.
        run_id: the run.
        view: the peers to ask.
        assembly: takes the chunks in.
        fit: says whether a state of so many outer steps is worth having.
    """

    def __init__(
        self,
        transport: Transport,
        puller: Puller,
        run_id: bytes,
        view: View,
        assembly: Assembly,
        fit: Callable[[int], bool] = lambda _: True,
    ) -> None:
        self._transport = transport
        self._puller = puller
        self._run_id = run_id
        self._view = view
        self._assembly = assembly
        self._fit = fit
        self._claims = Claims(assembly.missing)
        self._most_donors = MOST_DONORS
        self._active: set[str] = set()
        self._paused: dict[str, float] = {}
        self._named: dict[str, Contact] = {}
        """Whom donors without a place have named."""
        self._without: set[str] = set()
        """Those who have said that they have no state, or one that is of no use."""
        self._hopeless_since = self._came = 0.0
        self._restored = self._resumed = False
        self._failure: OSError | None = None
        self._news = trio.Event()
        self._pace = Pace()
        self._lies = 0

    async def fetch(self, patience: float = math.inf) -> bool:
        """Complete the assembly. False where nobody has a state to give: the run starts with us.

        That is so after `HOPELESS` seconds in which nobody was in view, or everybody in view has said that
        it has no state, or none that is fit. A donor that is busy, fails or lies is no reason to begin again
        from the seed: it is asked again, ever more seldom, for ever. What has come stays, whatever becomes of
        its donor.

        Args:
            patience: seconds without a whole chunk after which one that can do without gives up, false too.

        Raises:
            HomeError: the state cannot be written to disk.
        """
        try:
            await self._restore()
            self._hopeless_since = self._came = trio.current_time()
            self._failure = None
            async with trio.open_nursery() as nursery:
                while self._assembly.missing and not self._hopeless(patience) and self._failure is None:
                    self._recruit(nursery)
                    self._news = trio.Event()
                    with trio.move_on_after(1.0):
                        await self._news.wait()
                nursery.cancel_scope.cancel()
            if self._failure is not None:
                raise self._failure
        except OSError as error:
            raise HomeError(
                f"Cannot write the run's state of {self._assembly.size} bytes to "
                f"{self._assembly.file.parent}: {error.strerror or error}",
                "Free some space on that disk, and start again",
            ) from error
        return not self._assembly.missing

    def refused(self) -> None:
        """Hear that the whole is of no use, so that a donor's state must be bad: fetch again.

        One donor is avoided for it. Of several nobody knows which one, so from now on all chunks are of one
        donor; the next refusal then says whose they are.
        """
        donors = self._assembly.donors
        self._assembly.clear()
        self._most_donors = 1
        if len(donors) == 1:
            self._view.exchanged(donors[0], well=False)

    async def _restore(self) -> None:
        if not self._restored or not self._assembly.file.exists():
            await self._assembly.restore()
        self._restored, self._resumed = True, False
        self._pace.note(self._assembly.received)

    def _hopeless(self, patience: float) -> bool:
        now = trio.current_time()
        if now - self._came >= self._for_a_chunk(patience):
            return True
        live = {contact.peer_id for contact in self._view.live()}
        return live <= self._without and not self._active and now - self._hopeless_since >= HOPELESS

    def _for_a_chunk(self, seconds: float) -> float:
        """Return how long a chunk may take that would take so many seconds if it were one of 512 KiB."""
        return seconds * max(1.0, chunk_length(self._assembly.size) / CHUNK)

    # ---- finding donors

    def _recruit(self, nursery: trio.Nursery) -> None:
        """Begin with more donors, as far as there are places and work."""
        candidates = self._candidates()
        self._view.rng.shuffle(candidates)
        for contact in candidates[: max(self._wanted() - len(self._active), 0)]:
            self._active.add(contact.peer_id)
            nursery.start_soon(self._visit, contact)

    def _wanted(self) -> int:
        """Return how many donors to have: no more than there is work for, unless nothing comes of them."""
        if trio.current_time() - self._came >= STALLED:
            return self._most_donors
        return min(self._most_donors, -(-len(self._assembly.missing) // WORTH))

    def _candidates(self) -> list[Contact]:
        now = trio.current_time()
        known = {contact.peer_id: contact for contact in (*self._named.values(), *self._view.willing())}
        return [
            contact
            for peer_id, contact in known.items()
            if peer_id not in self._active
            and self._paused.get(peer_id, 0.0) <= now
            and not self._view.avoided(peer_id)
            and self._claims.has_work(peer_id)
        ]

    async def _visit(self, donor: Contact) -> None:
        """Get what there is to get of one donor. Whatever happens, it costs this donor's time alone."""
        try:
            await self._use(donor)
        except RefusedError as refusal:
            self._turned_away(donor, refusal)
        except (TransportError, ProtocolError) as error:
            self._lies += isinstance(error, ProtocolError)
            self._failed(donor)
        except OSError as error:
            self._failure = error
        finally:
            self._active.discard(donor.peer_id)
            self._news.set()

    def _turned_away(self, donor: Contact, refusal: RefusedError) -> None:
        if refusal.refusal.other_run:
            self._failed(donor)
        else:
            self._is_without(donor)

    def _is_without(self, donor: Contact) -> None:
        self._without.add(donor.peer_id)
        self._pause(donor, RETRY)

    def _failed(self, donor: Contact) -> None:
        self._named.pop(donor.peer_id, None)
        self._seems_to_have_one(donor)
        self._view.missed(donor.peer_id)
        self._view.exchanged(donor.peer_id, well=False)

    def _seems_to_have_one(self, donor: Contact) -> None:
        self._without.discard(donor.peer_id)
        self._hopeless_since = trio.current_time()

    def _pause(self, donor: Contact, seconds: float) -> None:
        self._paused[donor.peer_id] = trio.current_time() + min(seconds, RETRY)

    # ---- one donor

    async def _use(self, donor: Contact) -> None:
        answer: StateIs | Full | Busy = await ask(
            self._transport, donor, self._run_id, AskState(), StateIs, Full, Busy, patience=PATIENCE
        )
        self._view.answered(donor.peer_id)
        if not isinstance(answer, StateIs):
            self._seems_to_have_one(donor)
            self._pause(donor, answer.seconds)
            self._learn_others(answer)
            return
        index = open_index(answer.index, self._run_id, self._assembly.size)
        if index.peer_id != donor.peer_id:
            raise ProtocolError("the donor shows the index of another peer's state")
        if not self._fit(index.outer_step):
            self._is_without(donor)
            return
        self._seems_to_have_one(donor)
        source = Source(answer.index, index)
        self._drop_unfit(source)
        await self._fetch(donor, source)

    def _learn_others(self, answer: Full | Busy) -> None:
        if isinstance(answer, Full):
            for peer_id in self._view.learn_all(answer.others):
                if (contact := self._view.contact(peer_id)) is not None:
                    self._named[peer_id] = contact

    def _drop_unfit(self, source: Source) -> None:
        """Drop what does not go with this donor's state: left by a daemon long ago, or another donor's."""
        if not self._resumed:
            self._resumed = True
            oldest = source.index.outer_step - MOST_BEHIND
            self._assembly.keep(lambda index: index.outer_step >= oldest)
        if self._most_donors == 1:
            self._assembly.keep(lambda index: index.peer_id == source.index.peer_id)

    async def _fetch(self, donor: Contact, source: Source) -> None:
        """Fetch chunks while there are any to fetch."""
        limit = self._for_a_chunk(NO_CHUNK)
        with trio.move_on_after(limit) as scope:

            def came() -> None:
                now = trio.current_time()
                scope.deadline = now + limit
                self._came = now
                self._pace.note(self._assembly.received)
                self._news.set()

            wanted = FromDonor(self._assembly, self._claims, source, came)
            try:
                await self._puller.fetch(donor, wanted)
            except RefusedError as refusal:
                if not wanted.gave:
                    raise TransportError(f"{donor.peer_id} does not have that state") from refusal
                # Held for long enough. In a while it is asked for its state as it is then.
                self._pause(donor, RETRY)
            finally:
                wanted.give_up()
            return
        raise TransportError(f"{donor.peer_id} gave no whole chunk in {limit:g} s")

    def statistics(self) -> JoiningStatistics:
        """Gauges at this moment."""
        received, rate = self._assembly.received, self._pace.rate
        left = self._assembly.size - received
        return JoiningStatistics(
            size=self._assembly.size,
            received=received,
            rate=rate,
            seconds_left=left / rate if rate else None,
            donors=len(self._active),
            lies=self._lies,
        )
