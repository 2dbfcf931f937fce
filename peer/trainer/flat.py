"""All parameters as views into one flat tensor: the outer rule then works on one vector."""

import torch
from torch import Tensor, nn


@torch.no_grad()
def flatten(module: nn.Module) -> Tensor:
    """Move the parameters of `module` into one new flat fp32 tensor and return it.

    Parameter order is that of `module.named_parameters()`. From now on a change to the flat tensor is a
    change to the parameters, and the other way round. The device is that of the parameters.
    """
    parameters = list(module.parameters())
    flat = torch.cat([parameter.flatten().float() for parameter in parameters])
    for parameter, piece in zip(parameters, pieces(module, flat).values(), strict=True):
        parameter.data = piece
    return flat


def pieces(module: nn.Module, flat: Tensor) -> dict[str, Tensor]:
    """Return views of the 1-D tensor `flat` with the names and shapes of the parameters of `module`."""
    views: dict[str, Tensor] = {}
    start = 0
    for name, parameter in module.named_parameters():
        views[name] = flat[start : start + parameter.numel()].view(parameter.shape)
        start += parameter.numel()
    if start != flat.numel():
        raise ValueError(f"{flat.numel()} values for {start} parameters")
    return views
