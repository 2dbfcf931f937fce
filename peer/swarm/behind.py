"""Whether the swarm has left us behind: others say that they are far ahead, and mixes with them are refused.

Weights that are too far apart are never mixed (`peer.outer.gate`). So a peer that was away for long is of no
use to anybody until it has caught up, and it cannot tell so from its own steps. Outer steps alone would not
tell it either: a host that is slower than the others is ever further behind by count, and mixes well.
"""

from collections import OrderedDict
from statistics import median_low

import trio

from peer.swarm.view import View

FAR = 16
"""Outer steps by which the others must be ahead. Two states 14 apart were measured to be mixed as well as any
(`peer.swarm.assembly`), so a mix that is refused for less has another cause."""

REFUSALS = 2
"""Mixes in a row, with as many partners where there are, that were refused for the distance."""

MOST_PARTNERS = 64


class Behind:
    """Judges by the claims of live peers (`View.outer_steps`), and by what became of our mixes with them.

    Of several claims the median counts, the lower one of two, and several peers must refuse us, so that one
    liar moves nobody. A single peer is believed only where we know that we were away: then there is nobody
    else to ask, and what it gives must still do as well as what we have (`peer.trainer.replica`).

    Whoever was away says so, and counts only where fewer say that they were not. So of three peers that come
    back to one that stayed, none gives up what it has: that one may as well be a stranger.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._outer_step: int | None = None
        self._away = False
        self._refusals: OrderedDict[str, int] = OrderedDict()
        """Mixes in a row that were refused, by partner; 0 where the last one was not."""
        self._mixed = trio.Event()

    # ---- what we hear of

    def stepped(self, outer_step: int) -> None:
        """Hear how far we are."""
        self._outer_step = outer_step

    def stood_still(self) -> None:
        """Hear that we make inner steps again after a while without any."""
        self._away = True
        self._refusals.clear()

    def met(self, *partners: str, fit: bool) -> None:
        """Hear that what a partner, or a group, shared was mixed with ours, or was too far away for that.

        A group that refuses us counts once, whoever of it was to blame: for one who did not refuse us before.
        """
        claims = self._view.outer_steps()
        if not fit:
            known = [partner for partner in partners if partner in claims]
            partners = tuple(sorted(known, key=lambda one: self._refusals.get(one, 0))[:1])
        for partner in partners:
            self._met(partner, claims, fit=fit)

    def _met(self, partner: str, claims: dict[str, int], *, fit: bool) -> None:
        if partner not in claims and self._lead(claims) > FAR:
            return  # it has been away itself, and says nothing of those who are ahead
        if fit:
            self._away = False
            mixed, self._mixed = self._mixed, trio.Event()
            mixed.set()
        self._refusals[partner] = 0 if fit else self._refusals.pop(partner, 0) + 1
        while len(self._refusals) > MOST_PARTNERS:
            self._refusals.popitem(last=False)

    def admit(self) -> None:
        """Hear that we take ourselves for behind: nobody else was to blame for what was refused."""
        self._refusals.clear()
        self._view.forgive()

    def came_in(self, outer_step: int) -> None:
        """Hear that we go on from others' state. It may be old already: we are back with the first mix."""
        self._outer_step = outer_step
        self.stood_still()

    async def wait_for_a_mix(self) -> None:
        """Wait until one of the swarm has mixed with us."""
        await self._mixed.wait()

    # ---- what follows

    @property
    def outer_step(self) -> int | None:
        """How far we are; None before the trainer has begun."""
        return self._outer_step

    @property
    def away(self) -> bool:
        """Whether we stood still, and have not been one of the swarm again since."""
        return self._away

    @property
    def outdated(self) -> bool:
        """Whether others are there whose state is newer than ours, as we were away and they were not."""
        ahead = self._lead(self._view.outer_steps()) > FAR
        return self._away and ahead and self._view.others_were_here()

    def fit(self, outer_step: int) -> bool:
        """Say whether a state that is so far is worth having."""
        return self._outer_step is None or outer_step > self._outer_step + FAR

    def steps(self) -> int | None:
        """Return by how many outer steps we are behind; None unless only the swarm's state would mend it."""
        claims = self._view.outer_steps()
        if self._outer_step is None or not claims or (len(claims) == 1 and not self._away):
            return None
        lead = self._lead(claims)
        return lead if lead > FAR and self._shut_out(claims) else None

    def outnumbered(self) -> int | None:
        """Return how far those are ahead who refuse us and are too few to be followed; None without such.

        They say that they stayed while more of us were away: one of us alone cannot tell whether they lie.
        """
        here = self._view.of_those_here()
        if self._outer_step is None or not here or self._view.others_were_here():
            return None
        lead = self._lead(here)
        return lead if lead > FAR and self._shut_out(here) else None

    def _lead(self, claims: dict[str, int]) -> int:
        """Return by how many outer steps the claim in the middle is ahead of us."""
        return median_low(claims.values()) - (self._outer_step or 0) if claims else 0

    def _shut_out(self, claims: dict[str, int]) -> bool:
        """Whether those who make claims refuse us, rather than now and then one of them."""
        refusals = [count for partner, count in self._refusals.items() if partner in claims]
        refusing = sum(count > 0 for count in refusals)
        enough = sum(refusals) >= REFUSALS and refusing >= min(REFUSALS, len(claims))
        return enough and 2 * refusing > len(refusals)
