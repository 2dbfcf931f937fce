"""One rank's part of an inner step, the same for rank 0 and the others."""

from torch import Tensor, nn

from peer.trainer.feed import Batch
from peer.trainer.fitting import Fitting
from peer.trainer.parts import size
from peer.trainer.passes import Passes
from peer.trainer.ranks.team import Team


class Turn:
    """Computes gradients together with the other ranks."""

    def __init__(self, team: Team, net: nn.Module, passes: Passes, fitting: Fitting) -> None:
        """Wrap the net; all ranks at once.

        Args:
            team: ours.
            net: on our device.
            passes: through it, for trials that are nobody else's business.
            fitting: of our device.
        """
        self._team = team
        self._alone = passes
        together = team.together(net)
        self._together = passes.through(together, together.no_sync)
        self._fitting = fitting

    def gradient(self, examples: Batch) -> Tensor:
        """Leave the gradient of a whole batch's mean loss in every rank's parameters; return that loss.

        Raises:
            RuntimeError: memory has run out here, or another rank is gone. Some of the gradients may have met
                already, so that there is no second attempt.
        """
        team, part = self._team, self._team.part(examples)
        largest = -(-size(examples) // team.size)
        most = self._fitting.ready(part, self._alone, team.least, largest)
        # The mean over ranks is of parts that may be of different size.
        weight = team.size * size(part) / size(examples)
        return team.mean(self._together.gradient(part, most, weight))
