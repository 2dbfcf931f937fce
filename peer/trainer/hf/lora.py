"""Low-rank adapters on a frozen base model (arXiv 2106.09685), and their way out, in the files of `peft`."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from peer.errors import BaseModelError, ExportError
from peer.extras import load
from peer.trainer.flat import trainable
from protocol.foreign import Lora
from protocol.manifest import Manifest

DOWN, UP = "lora_A", "lora_B"
"""The two factors of an adapter: an update of a matrix is UP · DOWN · alpha / rank."""

ADAPTER = "default"
"""What peft calls an adapter that nobody has named; a part of its parameters' names."""

WRAPPED = "inner."
"""How names of parameters begin but in the built-in model: others stand inside a module that gives a loss."""

PEFT_BEGINS = "base_model.model."
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def attach(net: nn.Module, shape: Lora, seed: int) -> None:
    """Put adapters into `net` and freeze all else. Their first weights change nothing, as UP is 0.

    DOWN is uniform with bound 1 / sqrt(inputs), as peft has it, but drawn from `seed` and in the order of the
    names, so that every peer begins alike whichever peft it has.

    Raises:
        BaseModelError: the model has none of the targets, or one is no matrix.
        ExtraMissingError: `peft` is not installed.
    """
    peft = load("peft", "hf", "a LoRA fine-tune")
    settings = peft.LoraConfig(
        r=shape.rank,
        lora_alpha=shape.alpha,
        target_modules=list(shape.targets),
        lora_dropout=0.0,
        bias="none",
        fan_in_fan_out=_has(net, _conv1d(), shape),
    )
    try:
        peft.inject_adapter_in_model(settings, net, adapter_name=ADAPTER)
    except ValueError as error:
        raise BaseModelError(
            f"the base model takes no adapter at {', '.join(shape.targets)}: {str(error).splitlines()[0]}",
            "Name matrices of the model in model.lora.targets",
        ) from error
    if other := [name for name in trainable(net) if DOWN not in name and UP not in name]:
        raise BaseModelError(
            f"adapters are for matrices, and {other[0].partition('.lora_')[0]} is none",
            "Name others in model.lora.targets",
        )
    _draw(net, seed)


@torch.no_grad()
def _draw(net: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _, parameter in sorted(trainable(net).items()):
        # Frozen weights may be in bf16; small steps would be lost in it.
        parameter.data = parameter.data.float()
    for name, parameter in sorted(trainable(net).items()):
        if DOWN in name:
            nn.init.kaiming_uniform_(parameter, a=math.sqrt(5), generator=generator)
        else:
            parameter.zero_()


def linear_names(net: nn.Module) -> tuple[str, ...]:
    """Return the last names of the matrices that get adapters where none are named: all but the last one."""
    head = getattr(net, "get_output_embeddings", lambda: None)()
    kinds = (nn.Linear, _conv1d())
    found = {
        name.rpartition(".")[2]
        for name, module in net.named_modules()
        if isinstance(module, kinds) and module is not head
    }
    return tuple(sorted(found))


def _conv1d() -> type[nn.Module]:
    """Return GPT-2's own kind of a linear layer, which holds its matrix transposed."""
    kind: type[nn.Module] = load("transformers.pytorch_utils", "hf", "a LoRA fine-tune").Conv1D
    return kind


def _has(net: nn.Module, kind: type[nn.Module], shape: Lora) -> bool:
    names = [name for name, module in net.named_modules() if isinstance(module, kind)]
    return any(name.rpartition(".")[2] in shape.targets for name in names)


def export_adapter(weights: Mapping[str, Tensor], manifest: Manifest, target: Path) -> None:
    """Write adapters as `peft` loads them: `PeftModel.from_pretrained(base, target)`.

    Args:
        weights: under the names that checkpoints have, such as the mean of several.
        manifest: of the run that they are of.
        target: a folder, made where it is not there.

    Raises:
        BaseModelError: the run trains no adapters.
        OSError: the disk refused.
    """
    pretrained = manifest.model.pretrained
    if not pretrained or pretrained.lora is None:
        raise BaseModelError("this run trains no adapters", "Export the whole model instead")
    tensors = {_peft_name(name): tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    lora, source, revision = pretrained.lora, pretrained.source, pretrained.revision
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": source,
        "revision": revision,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": list(lora.targets),
        # Where the base holds its matrices transposed, as GPT-2 does, peft finds that out by itself.
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    target.mkdir(parents=True, exist_ok=True)
    (target / CONFIG).write_text(json.dumps(settings, indent=2) + "\n")
    save_file(tensors, target / WEIGHTS, metadata={"format": "pt"})


@torch.no_grad()
def merge(weights: Mapping[str, Tensor], shape: Lora, net: nn.Module) -> None:
    """Add adapters to the matrices of a base model that has none.

    Args:
        weights: the adapters', under the names that checkpoints have.
        shape: of the adapters.
        net: the base model, under the same names, on any device.

    Raises:
        ExportError: it has no matrix of its own where an adapter is.
    """
    parameters, transposed = dict(net.named_parameters()), _conv1d()
    for name, down in weights.items():
        if f".{DOWN}." not in name:
            continue
        module = name.partition(f".{DOWN}.")[0]
        matrix = parameters.get(f"{module}.weight")
        if matrix is None:
            raise ExportError(
                f"{module} shares its matrix with another part of the base model, which must not change",
                "Export the adapters by themselves, without --merge",
            )
        update = weights[name.replace(f".{DOWN}.", f".{UP}.")] @ down * (shape.alpha / shape.rank)
        if isinstance(net.get_submodule(module), transposed):
            update = update.T
        matrix.add_(update.to(matrix.device, matrix.dtype))


def _peft_name(name: str) -> str:
    return PEFT_BEGINS + name.removeprefix(WRAPPED).replace(f".{ADAPTER}.", ".")
