"""First weights from a safetensors file that the manifest names by its hash: every peer begins alike."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from peer.errors import CheckpointError
from peer.trainer import sources
from protocol.manifest import Model

SHOWN = 3
"""Tensors that an error names."""


@torch.no_grad()
def load_first_weights(model: Model, path: Path | None, net: nn.Module) -> None:
    """Copy the first weights into `net`, which the seed has filled; where there is no hash, leave it so.

    Args:
        model: names the file by content, or None.
        path: the file; floating-point tensors under the model's own names, of any precision.
        net: on any device.

    Raises:
        CheckpointError: the file is missing, damaged, another than the manifest names, or of another model.
    """
    if model.sha256 is None:
        return
    if path is None:
        raise CheckpointError(
            "this run begins from first weights in a file, and none is given", "Name it in model.path"
        )
    found = sources.file_hash(path)
    if found != model.sha256:
        raise CheckpointError(
            f"{path} has the hash {found.hex()[:16]}, the run's first weights have {model.sha256.hex()[:16]}",
            "Take the file that the run's founder used",
        )
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is no safetensors file: {error}", "Name one in model.path") from error
    parameters = dict(net.named_parameters())
    if wrong := _differences(weights, parameters):
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise CheckpointError(
            f"{path} is of another model: {'; '.join(wrong[:SHOWN])}{more}",
            "Set layers, width, heads, hidden and vocabulary to those of the file",
        )
    for name, parameter in parameters.items():
        parameter.copy_(weights[name])


def _differences(weights: dict[str, Tensor], parameters: dict[str, nn.Parameter]) -> list[str]:
    missing = [f"{name} is missing" for name in parameters if name not in weights]
    foreign = [f"{name} is no tensor of the model" for name in weights if name not in parameters]
    unlike = [
        f"{name} holds {weights[name].dtype} {list(weights[name].shape)}, not floats {list(parameter.shape)}"
        for name, parameter in parameters.items()
        if name in weights
        and (weights[name].shape != parameter.shape or not weights[name].is_floating_point())
    ]
    return missing + foreign + unlike
