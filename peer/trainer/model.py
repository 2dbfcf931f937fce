"""A decoder-only transformer in plain PyTorch, with Llama's shapes and names so that it can be exported."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from protocol.manifest import Model

NORM_EPSILON = 1e-5


def rotary_table(context: int, head_width: int, base: float) -> tuple[Tensor, Tensor]:
    """Return cos and sin of RoPE (arXiv 2104.09864), each fp32 (context, head_width), halves repeated."""
    # On the CPU also where the model is to have no memory: see `Transformer`.
    exponents = torch.arange(0, head_width, 2, dtype=torch.float32, device="cpu") / head_width
    angles = torch.outer(torch.arange(context, dtype=torch.float32, device="cpu"), base**-exponents)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (x[i], x[i + half]) of the last dimension by their position's angle."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Linear(nn.Linear):
    """A matrix without a bias; `build` draws its values, so nothing is drawn here."""

    def __init__(self, fan_in: int, fan_out: int) -> None:
        super().__init__(fan_in, fan_out, bias=False)

    def reset_parameters(self) -> None:
        """Leave the memory as it is."""


class Attention(nn.Module):
    """Causal self-attention over (batch, time, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = Linear(width, width)
        self.k_proj = Linear(width, width)
        self.v_proj = Linear(width, width)
        self.o_proj = Linear(width, width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return the attended values, the shape of `x`."""
        batch, time, width = x.shape
        q, k, v = (
            projection(x).view(batch, time, self.heads, -1).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        mixed: Tensor = self.o_proj(out.transpose(1, 2).reshape(batch, time, width))
        return mixed


class FeedForward(nn.Module):
    """SwiGLU (arXiv 2002.05202)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj = Linear(width, hidden)
        self.up_proj = Linear(width, hidden)
        self.down_proj = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the transformed values, the shape of `x`."""
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """Pre-norm attention and feed-forward, each beside its residual."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(model.width, NORM_EPSILON)
        self.self_attn = Attention(model.width, model.heads)
        self.post_attention_layernorm = nn.RMSNorm(model.width, NORM_EPSILON)
        self.mlp = FeedForward(model.width, model.hidden)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return the residual stream after this block."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Transformer(nn.Module):
    """Tokens in, mean cross-entropy out. The output projection is the embedding."""

    cos: Tensor
    sin: Tensor

    def __init__(self, model: Model, vocabulary: int) -> None:
        super().__init__()
        # Its own first weights would be thrown away. To draw them without memory, on `meta`, loads torch's
        # compiler, as `arange` does: more than a second, and an empty folder of caches among temporary files.
        self.embed_tokens = nn.Embedding(
            vocabulary, model.width, _weight=torch.empty(vocabulary, model.width)
        )
        self.layers = nn.ModuleList(Block(model) for _ in range(model.layers))
        self.norm = nn.RMSNorm(model.width, NORM_EPSILON)
        cos, sin = rotary_table(model.context, model.width // model.heads, model.rope_base)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def logits(self, tokens: Tensor) -> Tensor:
        """Return next-token logits (batch, time, vocabulary) of int64 `tokens` (batch, time <= context)."""
        time = tokens.shape[1]
        cos, sin = self.cos[:time], self.sin[:time]
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return F.linear(self.norm(x), self.embed_tokens.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the mean loss in nats a token of int64 `tokens` (batch, time + 1), as an fp32 scalar."""
        logits = self.logits(tokens[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())


def build(model: Model, vocabulary: int, seed: int) -> Transformer:
    """Return the model on the CPU with the first weights that `seed` gives, the same for every peer.

    Matrices are normal with deviation sqrt(2 / 5 width) ("small init", arXiv 1910.05895); those that write
    to the residual stream are smaller by sqrt(2 layers), so that its variance does not grow with depth.
    """
    net = Transformer(model, vocabulary)
    generator = torch.Generator().manual_seed(seed)
    deviation = math.sqrt(2 / (5 * model.width))
    for name, parameter in net.named_parameters():
        if parameter.ndim == 1:  # a norm's gain, which is 1
            continue
        to_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
        scale = deviation / math.sqrt(2 * model.layers) if to_residual else deviation
        nn.init.normal_(parameter, std=scale, generator=generator)
    return net


def parameter_count(model: Model, vocabulary: int) -> int:
    """Return how many parameters the model has; the tied embedding counts once."""
    matrices = 4 * model.width**2 + 3 * model.width * model.hidden
    return vocabulary * model.width + model.layers * (matrices + 2 * model.width) + model.width
