"""Our model as Hugging Face's Llama: which is what it is, to the last detail.

RMSNorm, RoPE over halves (x[i], x[i + half]), SwiGLU and a tied embedding under Llama's own names: only the
prefix `model.` is missing, and nothing has to be permuted.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from peer.errors import ModelError
from peer.trainer.model import NORM_EPSILON
from protocol.manifest import Model

PREFIX = "model."

Dtype = Literal["float32", "bfloat16"]


class Rope(msgspec.Struct, frozen=True):
    """Rotary embedding, as transformers 5 writes it."""

    rope_theta: float
    rope_type: Literal["default"] = "default"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """`config.json` of a `LlamaForCausalLM`. What is not in the manifest has one value only."""

    architectures: tuple[Literal["LlamaForCausalLM"]] = ("LlamaForCausalLM",)
    model_type: Literal["llama"] = "llama"
    vocab_size: Annotated[int, Meta(ge=2, le=1 << 20)]
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: Annotated[int, Meta(ge=1)]
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rope_theta: float
    """As transformers 4 and many others read it."""
    rope_parameters: Rope
    rms_norm_eps: float = NORM_EPSILON
    hidden_act: Literal["silu"] = "silu"
    tie_word_embeddings: bool = True
    attention_bias: bool = False
    mlp_bias: bool = False
    attention_dropout: float = 0.0
    bos_token_id: None = None
    """Our data has no tokens that begin or end a text. Llama's own defaults would be 1 and 2."""
    eos_token_id: None = None
    pad_token_id: None = None
    use_cache: bool = True
    dtype: Dtype = "float32"
    torch_dtype: Dtype = "float32"
    """The older name of `dtype`."""


class GenerationConfig(msgspec.Struct, frozen=True):
    """`generation_config.json`: how `generate` draws where its caller does not say."""

    max_new_tokens: int
    do_sample: bool = True
    temperature: float = 0.8
    top_p: float = 0.95
    bos_token_id: None = None
    eos_token_id: None = None
    pad_token_id: None = None


def config(model: Model, vocabulary: int, dtype: Dtype) -> Config:
    """Return what transformers has to know to build the model."""
    return Config(
        vocab_size=vocabulary,
        hidden_size=model.width,
        intermediate_size=model.hidden,
        num_hidden_layers=model.layers,
        num_attention_heads=model.heads,
        num_key_value_heads=model.heads,
        head_dim=model.width // model.heads,
        max_position_embeddings=model.context,
        rope_theta=model.rope_base,
        rope_parameters=Rope(model.rope_base),
        dtype=dtype,
        torch_dtype=dtype,
    )


def parse(content: bytes) -> tuple[Model, int]:
    """Return the model and the vocabulary that a `config.json` describes, if it is one that `config` writes.

    Raises:
        ModelError: it is of a model that this program does not have.
    """
    remedy = "Name a folder that `peer export` wrote"
    try:
        found = msgspec.json.decode(content, type=Config)
        fields = {
            "layers": found.num_hidden_layers,
            "width": found.hidden_size,
            "heads": found.num_attention_heads,
            "hidden": found.intermediate_size,
            "context": found.max_position_embeddings,
            "rope_base": found.rope_theta,
        }
        model = msgspec.convert(fields, Model)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"its config.json is not of our models: {error}", remedy) from error
    wanted = config(model, found.vocab_size, found.dtype)
    found = msgspec.structs.replace(found, torch_dtype=found.dtype, use_cache=True)
    unlike = [name for name in Config.__struct_fields__ if getattr(found, name) != getattr(wanted, name)]
    if unlike:
        raise ModelError(f"its config.json is not of our models: {', '.join(unlike)}", remedy)
    return model, found.vocab_size
