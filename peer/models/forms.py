"""The forms that a run's average is written in: Llama's layout, a base model's own, or peft's adapters."""

from pathlib import Path
from typing import Any, Protocol, cast

import torch
from safetensors.torch import save_file
from torch import Tensor

from peer.errors import ExportError
from peer.models import card, llama, task_card, tokens
from peer.models.card import Kind, Provenance
from peer.models.loaded import CONFIG, TOKENIZER, WEIGHTS, put
from peer.models.replicas import Replicas
from peer.trainer.hf import lora
from peer.trainer.hf.find import find_for
from peer.trainer.hf.net import build
from protocol.foreign import Pretrained, Task

GENERATION = "generation_config.json"
GGUF = "model.gguf"
TOKENIZER_CONFIG = "tokenizer_config.json"

NEW_TOKENS = 100
"""Tokens that `generate` writes where its caller does not say."""


class Form(Protocol):
    """Made before anything is averaged, so that what is missing is said at once.

    Weights have the names that the model itself gives them.

    Attributes:
        kind: what it makes.
    """

    kind: Kind

    def card(self, made: Provenance) -> str:
        """Return the model card as Markdown."""

    def write(self, folder: Path, weights: dict[str, Tensor], dtype: torch.dtype) -> None:
        """Write the fp32 weights in another dtype, and what else is needed to load them.

        Raises:
            OSError: the disk refused.
        """


def form_of(replicas: Replicas, *, gguf: bool, merge: bool) -> Form:
    """Return the form for a run.

    Raises:
        BaseModelError: the base model is needed, and is not here, or another one is.
        DataError: the run's tokenizer file is missing, or not the run's.
        ExportError: there are no adapters to merge, or llama.cpp's form is not offered for this run.
        ExtraMissingError: a library is needed that is not installed.
    """
    manifest = replicas.manifest
    pretrained = manifest.model.pretrained
    if merge and not (pretrained and pretrained.lora):
        raise ExportError("--merge puts adapters into their base, and this run trains none", "Leave it out")
    if gguf and manifest.task:
        raise ExportError(f"GGUF cannot hold the model of the task {manifest.task.name}", "Leave --gguf out")
    if gguf and pretrained:
        raise ExportError(
            "--gguf is for the built-in model",
            "Export without it (adapters with --merge), then use llama.cpp's convert_hf_to_gguf.py",
        )
    if manifest.task:
        return TaskForm(manifest.task)
    if not pretrained:
        return OwnForm(replicas, gguf=gguf)
    if pretrained.lora and not merge:
        return AdapterForm(replicas)
    return BaseForm(replicas, pretrained)


class OwnForm:
    """The built-in model, as the Llama that it is."""

    kind: Kind = "model"

    def __init__(self, replicas: Replicas, *, gguf: bool) -> None:
        self._manifest = replicas.manifest
        self._tokenizer = tokens.tokenizer_json(replicas.manifest.tokenizer, replicas.tokenizer_path)
        self._gguf = gguf
        if gguf:
            from peer.models import gguf_file

            gguf_file.check(self._tokenizer)

    def card(self, made: Provenance) -> str:
        """See `Form`."""
        return card.write(self._manifest, made, gguf=self._gguf)

    def write(self, folder: Path, weights: dict[str, Tensor], dtype: torch.dtype) -> None:
        """See `Form`."""
        model, weights = self._manifest.model, _cast(weights, dtype)
        named = {llama.PREFIX + name: tensor for name, tensor in weights.items()}
        # Other programs ask for the entry `format`.
        save_file(named, folder / WEIGHTS, metadata={"format": "pt"})
        if self._gguf:
            from peer.models import gguf_file

            gguf_file.write(folder / GGUF, self._manifest, weights, self._tokenizer)
        dtype_name = cast("llama.Dtype", str(dtype).removeprefix("torch."))
        for name, content in {
            CONFIG: tokens.pretty(llama.config(model, self._manifest.tokenizer.vocabulary, dtype_name)),
            GENERATION: tokens.pretty(llama.GenerationConfig(min(NEW_TOKENS, model.context // 2))),
            TOKENIZER: self._tokenizer,
            TOKENIZER_CONFIG: tokens.pretty(tokens.tokenizer_config(model.context)),
        }.items():
            (folder / name).write_bytes(content)


class AdapterForm:
    """Adapters alone, as `peft` loads them; the base model is not needed."""

    kind: Kind = "adapters"

    def __init__(self, replicas: Replicas) -> None:
        self._manifest = replicas.manifest

    def card(self, made: Provenance) -> str:
        """See `Form`."""
        return card.write(self._manifest, made)

    def write(self, folder: Path, weights: dict[str, Tensor], dtype: torch.dtype) -> None:
        """See `Form`."""
        lora.export_adapter(_cast(weights, dtype), self._manifest, folder)


class BaseForm:
    """A base model that was trained on, or that adapters are merged into, as `transformers` saves it."""

    def __init__(self, replicas: Replicas, pretrained: Pretrained) -> None:
        self._manifest = replicas.manifest
        self._base = find_for(pretrained, replicas.places.model)
        self._lora = pretrained.lora
        self.kind: Kind = "merged" if pretrained.lora else "model"
        path = replicas.tokenizer_path or self._base.tokenizer
        self._tokenizer = tokens.tokenizer_json(replicas.manifest.tokenizer, path)
        beside = self._base.folder / TOKENIZER_CONFIG
        is_its_own = path == self._base.tokenizer and beside.is_file()
        settings = tokens.pretty(tokens.tokenizer_config(replicas.manifest.model.context))
        self._tokenizer_config = beside.read_bytes() if is_its_own else settings

    def card(self, made: Provenance) -> str:
        """See `Form`."""
        return card.write(self._manifest, made)

    def write(self, folder: Path, weights: dict[str, Tensor], dtype: torch.dtype) -> None:
        """See `Form`."""
        net: Any = build(self._base, None, 0).inner
        if self._lora is None:
            put(weights, net)
        else:
            lora.merge(weights, self._lora, net)
        net.to(dtype).save_pretrained(folder)
        (folder / TOKENIZER).write_bytes(self._tokenizer)
        (folder / TOKENIZER_CONFIG).write_bytes(self._tokenizer_config)


class TaskForm:
    """The weights of a plug-in's model; how to build it, the plug-in knows."""

    kind: Kind = "task"

    def __init__(self, task: Task) -> None:
        self._task = task

    def card(self, made: Provenance) -> str:
        """See `Form`."""
        return task_card.write(self._task, made)

    def write(self, folder: Path, weights: dict[str, Tensor], dtype: torch.dtype) -> None:
        """See `Form`."""
        save_file(_cast(weights, dtype), folder / WEIGHTS, metadata={"format": "pt"})


def _cast(weights: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: tensor.to(dtype) for name, tensor in weights.items()}
