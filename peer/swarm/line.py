"""What carries this host's bulk, and how fast it may."""

from dataclasses import dataclass, field

from peer.swarm.bulk import Bulk
from peer.swarm.rate import RateLimit


@dataclass(frozen=True, slots=True)
class Line:
    """The line of this host to the others."""

    bulk: Bulk | None = None
    """Opens and answers lanes; None: bulk goes over streams alone."""
    upload: RateLimit = field(default_factory=RateLimit)
    download: RateLimit = field(default_factory=RateLimit)
