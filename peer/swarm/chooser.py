"""Picks the codec of each exchange in which a share is written for its receiver."""

from collections.abc import Callable

from peer.swarm.choice import Choice, Link, choose, fixed
from peer.swarm.engagement import EndedError, Engagement
from peer.swarm.goodput import Goodput
from peer.swarm.share_sizes import ShareSizes
from protocol.manifest import Manifest


class Chooser:
    """Knows the run's contract, the links, and the time between outer steps."""

    def __init__(
        self,
        manifest: Manifest,
        sizes: ShareSizes,
        goodput: Goodput,
        pace: Callable[[], float],
        relayed: Callable[[str], bool],
    ) -> None:
        self._manifest = manifest
        self._sizes = sizes
        self._goodput = goodput
        self._pace = pace
        self._relayed = relayed

    def pick(self, engagement: Engagement) -> Choice:
        """Return what our share is written in for this partner.

        Without bounds of the receiver's there is no `modulo`: it would not know which candidate is meant.

        Raises:
            EndedError: the partner decodes nothing that we may write.
        """
        mine, near = engagement.mine, engagement.theirs.bounds is not None
        allowed = tuple(name for name in engagement.decodes if near or name != "modulo")
        if mine.codec != "auto":
            choice = fixed(self._manifest, mine.codec, near=near)
            if choice.codec not in allowed:
                raise EndedError("failed", f"the partner does not decode {choice.codec}")
            return choice
        partner = engagement.partner
        # A relay lends its line: it gets the fewest bytes that make sense, whatever it could carry.
        goodput = 0.0 if self._relayed(partner) else self._goodput.to(partner)
        link = Link(partner, goodput, self._pace())
        try:
            return choose(link, lambda codec, bits: self._sizes.encoded(mine.fragment, codec, bits), allowed)
        except ValueError as error:
            raise EndedError("failed", str(error)) from error
