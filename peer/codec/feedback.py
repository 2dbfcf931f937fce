"""Error feedback: what a coarse codec left out is added to what is sent next time."""

import torch
from torch import Tensor

from peer.codec.base import Codec


class Feedback:
    """The residual of one stream of tensors (SparseLoCo, 2508.15706, algorithm 1; decay 1 is plain EF).

    Attributes:
        residual: what was not sent so far, flat float32. Belongs in a checkpoint.
    """

    def __init__(self, values: int, decay: float = 0.95, device: torch.device | str = "cpu") -> None:
        if not 0 <= decay <= 1:
            raise ValueError(f"the decay is {decay}; it must be in [0, 1]")
        self._decay = decay
        self.residual = torch.zeros(values, device=device)

    @torch.no_grad()
    def encode(self, codec: Codec, delta: Tensor) -> tuple[bytes, Tensor]:
        """Encode decay·residual + delta, and keep the rest.

        Args:
            codec: of any kind; the residual stays 0 with an exact one.
            delta: flat float32, as long as the residual, on its device.

        Returns:
            The bytes, and what they decode to.

        Raises:
            CodecError: the codec cannot carry the sum. The residual is then as it was.
        """
        wanted = torch.add(delta, self.residual, alpha=self._decay)
        data = codec.encode(wanted)
        sent = codec.decode(data, wanted.numel(), wanted.device)
        torch.sub(wanted, sent, out=self.residual)
        return data, sent
