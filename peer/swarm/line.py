"""What carries this host's bulk, and how fast it may."""

from dataclasses import dataclass, field

from peer.swarm.bulk import Bulk
from peer.swarm.rate import FOR_OTHERS, RateLimit


@dataclass(frozen=True, slots=True)
class Line:
    """The line of this host to the others.

    Attributes:
        bulk: opens and answers lanes; None: bulk goes over streams alone.
        upload: of shares and states.
        download: likewise.
        relay: of what is carried for others.
    """

    bulk: Bulk | None = None
    upload: RateLimit = field(default_factory=RateLimit)
    download: RateLimit = field(default_factory=RateLimit)
    relay: RateLimit = field(default_factory=lambda: RateLimit(FOR_OTHERS))

    @property
    def streamed(self) -> float:
        """Bytes a second that the trainer itself may fetch: half, lest exchanges wait for what it reads."""
        return self.download.rate / 2

    def allow(self, upload: float, download: float) -> None:
        """Let so many bytes pass in a second from now on; of what goes up, half at the most is for others."""
        self.upload.change(upload)
        self.download.change(download)
        self.relay.change(min(FOR_OTHERS, upload / 2))
