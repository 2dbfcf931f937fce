"""The model as a GGUF file for llama.cpp. The library `gguf` is an extra; it is loaded here only."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import torch
from torch import Tensor

from peer.errors import ExportError, ExtraMissingError
from peer.models.tokens import letters
from peer.trainer.model import NORM_EPSILON
from protocol.manifest import Manifest

if TYPE_CHECKING:
    from gguf import GGUFWriter

NAMES = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}

SPLIT_AS_GPT2 = "gpt-2"
SPLIT_ANYHOW = "qwen2"
"""Where nothing is ever merged, it does not matter where text is split. Unlike `gpt-2`, this name does not
have llama.cpp tidy away the spaces before full stops."""

NEVER = letters()[0xFF]
"""No UTF-8 text has this byte. llama.cpp needs a token that ends a text, and would take token 11."""


class _Bpe(msgspec.Struct, frozen=True):
    type: Literal["BPE"]
    vocab: dict[str, int]
    merges: list[str | list[str]]
    dropout: float | None = None
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None
    byte_fallback: bool = False
    ignore_merges: bool = False


class _ByteLevel(msgspec.Struct, frozen=True):
    type: Literal["ByteLevel"]
    add_prefix_space: bool
    use_regex: bool = True


class _Added(msgspec.Struct, frozen=True):
    id: int
    content: str
    special: bool


class _Tokenizer(msgspec.Struct, frozen=True):
    model: _Bpe
    pre_tokenizer: _ByteLevel
    normalizer: None = None
    added_tokens: list[_Added] = []


def check(tokenizer: bytes) -> None:
    """See that the library is there, and that llama.cpp cuts text into the same tokens.

    Args:
        tokenizer: a `tokenizer.json`.

    Raises:
        ExtraMissingError: the library is not installed.
        ExportError: llama.cpp has no tokenizer that does exactly the same.
    """
    try:
        import gguf  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise ExtraMissingError("--gguf", "gguf") from error
    _read(tokenizer)


def write(file: Path, manifest: Manifest, weights: dict[str, Tensor], tokenizer: bytes) -> None:
    """Write the model and its tokenizer.

    Args:
        file: a new one.
        manifest: of the run.
        weights: under our names; fp32 or bf16, but norms are always written in fp32, as llama.cpp wants them.
        tokenizer: a `tokenizer.json` that `check` has let pass.

    Raises:
        OSError: the disk refused.
    """
    writer = _writer(file)
    _describe(writer, manifest)
    _put_tokenizer(writer, _read(tokenizer), manifest.tokenizer.vocabulary)
    for name, tensor in weights.items():
        _put(writer, name, _paired(name, tensor, manifest.model.heads))
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _read(content: bytes) -> _Tokenizer:
    remedy = "Leave --gguf out, and try llama.cpp's own convert_hf_to_gguf.py on the exported folder"
    try:
        found = msgspec.json.decode(content, type=_Tokenizer)
    except msgspec.MsgspecError as error:
        raise ExportError(f"llama.cpp cannot be given this run's tokenizer: {error}", remedy) from error
    model, splits = found.model, found.pre_tokenizer
    plain = _Bpe("BPE", model.vocab, model.merges)
    if model != plain or splits.add_prefix_space or (model.merges and not splits.use_regex):
        raise ExportError("llama.cpp cannot be given this run's tokenizer: it is not GPT-2's kind", remedy)
    if NEVER not in model.vocab:
        raise ExportError("llama.cpp cannot be given this run's tokenizer: it lacks some bytes", remedy)
    return found


def _describe(writer: "GGUFWriter", manifest: Manifest) -> None:
    model = manifest.model
    writer.add_name(manifest.name)
    writer.add_context_length(model.context)
    writer.add_embedding_length(model.width)
    writer.add_block_count(model.layers)
    writer.add_feed_forward_length(model.hidden)
    writer.add_head_count(model.heads)
    writer.add_head_count_kv(model.heads)
    writer.add_layer_norm_rms_eps(NORM_EPSILON)
    writer.add_rope_freq_base(model.rope_base)
    writer.add_rope_dimension_count(model.width // model.heads)
    writer.add_vocab_size(manifest.tokenizer.vocabulary)


def _put_tokenizer(writer: "GGUFWriter", found: _Tokenizer, vocabulary: int) -> None:
    from gguf import TokenType

    texts = [f"[PAD{token}]" for token in range(vocabulary)]
    kinds = [TokenType.UNUSED] * vocabulary
    for text, token in found.model.vocab.items():
        texts[token], kinds[token] = text, TokenType.NORMAL
    for added in found.added_tokens:
        texts[added.id] = added.content
        kinds[added.id] = TokenType.CONTROL if added.special else TokenType.USER_DEFINED
    merges = [one if isinstance(one, str) else " ".join(one) for one in found.model.merges]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(SPLIT_AS_GPT2 if merges else SPLIT_ANYHOW)
    writer.add_token_list(texts)
    writer.add_token_types(kinds)
    _put_merges(writer, merges)
    writer.add_add_bos_token(value=False)
    writer.add_bos_token_id(found.model.vocab[NEVER])
    writer.add_eos_token_id(found.model.vocab[NEVER])


def _put_merges(writer: "GGUFWriter", merges: list[str]) -> None:
    from gguf import GGUFValueType, Keys

    # `add_token_merges` leaves an empty list out, and without the list llama.cpp does not load the file.
    writer.add_key_value(Keys.Tokenizer.MERGES, merges, GGUFValueType.ARRAY, GGUFValueType.STRING)


def _put(writer: "GGUFWriter", name: str, tensor: Tensor) -> None:
    from gguf import GGMLQuantizationType

    if tensor.ndim == 1 or tensor.dtype == torch.float32:
        writer.add_tensor(_name(name), tensor.float().numpy())
        return
    # NumPy has no bfloat16: the library takes its bytes.
    raw = tensor.contiguous().view(torch.uint8).numpy()
    writer.add_tensor(_name(name), raw, raw_dtype=GGMLQuantizationType.BF16)


def _name(name: str) -> str:
    """Return llama.cpp's name for a tensor of ours."""
    stem = name.removesuffix(".weight")
    if not stem.startswith("layers."):
        return f"{NAMES[stem]}.weight"
    _, layer, rest = stem.split(".", 2)
    return f"blk.{layer}.{NAMES[rest]}.weight"


def _paired(name: str, tensor: Tensor, heads: int) -> Tensor:
    """Return `tensor` for llama.cpp's RoPE, which turns neighbours (x[2i], x[2i + 1]) and not halves."""
    if not name.endswith(("q_proj.weight", "k_proj.weight")):
        return tensor
    return tensor.view(heads, 2, -1, tensor.shape[1]).transpose(1, 2).reshape(tensor.shape)


def _writer(file: Path) -> "GGUFWriter":
    """Return a writer that writes empty lists too, which the library refuses."""
    import struct

    from gguf import GGUFValueType, GGUFWriter

    class Writer(GGUFWriter):
        def _pack_val(
            self,
            val: object,
            vtype: GGUFValueType,
            add_vtype: bool,  # noqa: FBT001 - the library's own signature
            sub_type: GGUFValueType | None = None,
        ) -> bytes:
            if vtype is GGUFValueType.ARRAY and not val and sub_type is not None:
                return struct.pack("<IIQ", vtype, sub_type, 0)
            return bytes(super()._pack_val(val, vtype, add_vtype, sub_type))

    return Writer(file, "llama")
