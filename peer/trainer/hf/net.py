"""A base model as a module that gives a loss, as the built-in one does; with adapters, only they train."""

from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from peer.errors import BaseModelError
from peer.extras import load
from peer.trainer.hf import lora
from peer.trainer.hf.base import Base, Config

if TYPE_CHECKING:
    from protocol.foreign import Lora

ATTENTION = "sdpa"
"""PyTorch's own. A configuration could name one that is fetched from the Hub and run."""


class Causal(nn.Module):
    """Tokens in, mean cross-entropy out, around a causal language model of `transformers`.

    Attributes:
        inner: the model, without dropout.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def logits(self, tokens: Tensor) -> Tensor:
        """Return next-token logits (batch, time, vocabulary) of int64 `tokens` (batch, time <= context)."""
        logits: Tensor = self.inner(input_ids=tokens, use_cache=False).logits
        return logits

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the mean loss in nats a token of int64 `tokens` (batch, time + 1), as an fp32 scalar."""
        logits = self.logits(tokens[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())


def build(base: Base, adapters: "Lora | None", seed: int, frozen: torch.dtype = torch.float32) -> Causal:
    """Return the base model on the CPU with its own weights, and with fresh adapters if there are to be any.

    Args:
        base: its files.
        adapters: their shape; None where all weights are trained.
        seed: of the adapters' first weights, which are the same for every peer.
        frozen: in which the weights are held that are not trained.

    Raises:
        BaseModelError: the files are damaged, or of no causal language model that `transformers` knows.
        ExtraMissingError: `transformers`, or `peft` where there are adapters, is not installed.
    """
    library = _transformers()
    config, kind = _kind(library, base)
    net = _with_weights(kind, config, base, torch.float32 if adapters is None else frozen)
    if adapters is not None:
        lora.attach(net, adapters, seed)
    return Causal(net)


def skeleton(base: Base) -> nn.Module:
    """Return the bare model without weights and without memory for them, to look at.

    Raises:
        BaseModelError: as `build`, or it is larger than its files.
        ExtraMissingError: as `build`.
    """
    library = _transformers()
    config, kind = _kind(library, base)
    return _skeleton(kind, config, base)


def read_config(base: Base) -> Any:  # noqa: ANN401 - transformers may be missing where types are checked
    """Return the configuration as an object of `transformers`.

    Raises:
        BaseModelError: as `build`.
        ExtraMissingError: as `build`.
    """
    return _kind(_transformers(), base)[0]


def _transformers() -> ModuleType:
    library = load("transformers", "hf", "a model of transformers")
    # Its bars and reports are for terminals; what is wrong with a model we say ourselves.
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    return library


def _kind(library: ModuleType, base: Base) -> tuple[Any, Any]:
    """Return the configuration and the class of the model, both of the library itself, never of the files."""
    name = base.config["model_type"]
    try:
        config = library.CONFIG_MAPPING[name].from_dict(_settings(base.config))
        return config, library.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    except KeyError as error:
        raise BaseModelError(
            f"transformers {library.__version__} knows no causal language model of the type {name!r}",
            "Update transformers, or choose another model",
        ) from error
    except Exception as error:  # each configuration checks itself, in its own way
        raise _wrong(base, error) from error


def _settings(config: Config) -> Config:
    return {name: value for name, value in config.items() if name not in ("torch_dtype", "dtype")}


def _skeleton(kind: Any, config: Any, base: Base) -> nn.Module:  # noqa: ANN401 - as read_config
    try:
        with torch.device("meta"):
            net: nn.Module = kind(config)
    except Exception as error:  # each model fails in its own way
        raise _wrong(base, error) from error
    parameters = sum(each.numel() for each in net.parameters())
    if parameters > base.size:
        # Files that are here bound what is allocated; a configuration could claim anything.
        raise BaseModelError(
            f"{base.folder / 'config.json'} is of a model of {parameters} parameters, "
            f"and {base.size} bytes of weights are beside it",
            "Restore the folder from its source",
        )
    return net


def _with_weights(kind: Any, config: Any, base: Base, dtype: torch.dtype) -> nn.Module:  # noqa: ANN401 - likewise
    _skeleton(kind, config, base)
    try:
        weights = {name: value for file in base.files for name, value in load_file(file).items()}
        net, told = kind.from_pretrained(
            None,
            config=config,
            state_dict=weights,
            attn_implementation=ATTENTION,
            dtype=dtype,
            output_loading_info=True,
        )
    except (SafetensorError, OSError) as error:
        raise BaseModelError(
            f"the weights in {base.folder} are damaged: {error}", "Fetch them anew"
        ) from error
    except Exception as error:  # each model fails in its own way
        raise _wrong(base, error) from error
    if lacking := sorted({*told["missing_keys"], *(each[0] for each in told["mismatched_keys"])}):
        raise BaseModelError(
            f"the weights in {base.folder} lack {len(lacking)} tensors of its config, such as {lacking[0]}",
            "Restore the folder from its source",
        )
    module: nn.Module = net
    return module


def _wrong(base: Base, error: Exception) -> BaseModelError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return BaseModelError(
        f"transformers makes no model of {base.folder}: {reason}",
        "Restore the folder, or choose another model",
    )
