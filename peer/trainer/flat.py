"""All parameters as views into one flat tensor: the outer rule then works on one vector."""

import torch
from torch import Tensor, nn


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that are trained, in the order of `module.named_parameters()`.

    Those of a frozen base model, which take no gradient, are none of a replica's weights.
    """
    return {name: each for name, each in module.named_parameters() if each.requires_grad}


@torch.no_grad()
def flatten(module: nn.Module) -> Tensor:
    """Move the trainable parameters of `module` into one new flat fp32 tensor and return it.

    Their order is that of `trainable`. From now on a change to the flat tensor is a change to the parameters,
    and the other way round. The device is that of the parameters.
    """
    parameters = list(trainable(module).values())
    flat = torch.cat([parameter.flatten().float() for parameter in parameters])
    for parameter, piece in zip(parameters, pieces(module, flat).values(), strict=True):
        parameter.data = piece
    return flat


def pieces(module: nn.Module, flat: Tensor) -> dict[str, Tensor]:
    """Return views of the 1-D tensor `flat` with the names and shapes of the trainable parameters."""
    views: dict[str, Tensor] = {}
    start = 0
    for name, parameter in trainable(module).items():
        views[name] = flat[start : start + parameter.numel()].view(parameter.shape)
        start += parameter.numel()
    if start != flat.numel():
        raise ValueError(f"{flat.numel()} values for {start} parameters")
    return views
