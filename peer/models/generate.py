"""Text from a model, token by token: keys and values are kept, and drawing is deterministic with a seed."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from peer.trainer.hf.net import Causal
from peer.trainer.model import Attention, Block, Transformer, rotate


@dataclass(frozen=True, slots=True)
class Drawing:
    """How the next token is drawn.

    Attributes:
        temperature: the logits are divided by it; 0 takes the likeliest token.
        top_p: only the likeliest tokens that together have this probability are drawn from (nucleus sampling,
            arXiv 1904.09751).
        seed: of the draws.
    """

    temperature: float
    top_p: float
    seed: int


class Decoder(Protocol):
    """Feeds a model one sequence."""

    def feed(self, tokens: Sequence[int]) -> Tensor:
        """Take the next tokens, at least one, and return the logits (vocabulary) of what follows, in fp32.

        Positions end at the context: there the later half of what was fed begins a new sequence.
        """


class OwnDecoder:
    """Feeds the built-in model, and keeps each layer's keys and values (1, heads, time, head width)."""

    def __init__(self, net: Transformer, context: int) -> None:
        self._net = net
        self._context = context
        self._kept: list[tuple[Tensor, Tensor] | None] = []
        self._fed: list[int] = []

    @torch.no_grad()
    def feed(self, tokens: Sequence[int]) -> Tensor:
        """See `Decoder`."""
        self._fed += tokens
        time = self._time()
        if time + len(tokens) > self._context:
            self._fed = self._fed[-max(1, self._context // 2) :]
            self._kept, time, tokens = [], 0, self._fed
        net = self._net
        self._kept = self._kept or [None] * len(net.layers)
        cos, sin = net.cos[time : time + len(tokens)], net.sin[time : time + len(tokens)]
        x = net.embed_tokens(torch.tensor([list(tokens)], device=cos.device))
        for index, layer in enumerate(net.layers):
            x, self._kept[index] = _block(layer, x, cos, sin, self._kept[index])  # type: ignore[arg-type]
        return F.linear(net.norm(x[0, -1]), net.embed_tokens.weight).float().cpu()

    def _time(self) -> int:
        return self._kept[0][0].shape[2] if self._kept and self._kept[0] else 0


CACHES = ("cache", "past_key_values")
"""What models of `transformers` call what they keep of a sequence: of late, and before."""


class CausalDecoder:
    """Feeds a model of `transformers`, which keeps what it needs of the sequence in a cache of its own.

    Where it calls it by none of the usual names, it is fed the whole sequence each time.
    """

    def __init__(self, net: Causal, context: int) -> None:
        self._inner: Any = net.inner
        self._context = context
        known = inspect.signature(self._inner.forward).parameters
        self._cache = next((name for name in CACHES if name in known), None)
        self._kept: Any = None
        self._fed: list[int] = []

    @torch.no_grad()
    def feed(self, tokens: Sequence[int]) -> Tensor:
        """See `Decoder`."""
        self._fed += tokens
        if len(self._fed) > self._context:
            self._fed = self._fed[-max(1, self._context // 2) :]
            self._kept = None
        given = self._fed if self._kept is None else list(tokens)
        device = next(self._inner.parameters()).device
        kept = {} if self._cache is None else {self._cache: self._kept, "use_cache": True}
        told = self._inner(input_ids=torch.tensor([given], device=device), **kept)
        self._kept = None if self._cache is None else told[self._cache]
        logits: Tensor = told.logits[0, -1].float().cpu()
        return logits


def decoder_of(net: nn.Module, context: int) -> Decoder:
    """Return what feeds a model of any kind."""
    if isinstance(net, Transformer):
        return OwnDecoder(net, context)
    if isinstance(net, Causal):
        return CausalDecoder(net, context)
    raise TypeError(f"nothing feeds a {type(net).__name__}")


def _block(
    block: Block, x: Tensor, cos: Tensor, sin: Tensor, kept: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    mixed, kept = _attend(block.self_attn, block.input_layernorm(x), cos, sin, kept)
    x = x + mixed
    return x + block.mlp(block.post_attention_layernorm(x)), kept


def _attend(
    attention: Attention, x: Tensor, cos: Tensor, sin: Tensor, kept: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    batch, time, width = x.shape
    q, k, v = (
        projection(x).view(batch, time, attention.heads, -1).transpose(1, 2)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    if kept is not None:
        k, v = torch.cat((kept[0], k), dim=2), torch.cat((kept[1], v), dim=2)
    past = k.shape[2] - time
    mask = torch.ones(time, k.shape[2], dtype=torch.bool, device=x.device).tril(past)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return attention.o_proj(out.transpose(1, 2).reshape(batch, time, width)), (k, v)


def generate(
    net: nn.Module, context: int, prompt: Sequence[int], count: int, drawing: Drawing
) -> Iterator[int]:
    """Yield `count` tokens that follow `prompt`, as they come.

    Args:
        net: on any device.
        context: the most tokens that it looks back on.
        prompt: at least one token.
        count: how many tokens to yield.
        drawing: with the same one, the same weights and the same machine, the tokens are the same.
    """
    generator = torch.Generator().manual_seed(drawing.seed)
    decoder = decoder_of(net, context)
    logits = decoder.feed(prompt[-context:])
    for left in range(count, 0, -1):
        token = draw(logits, drawing, generator)
        yield token
        if left > 1:
            logits = decoder.feed([token])


def draw(logits: Tensor, drawing: Drawing, generator: torch.Generator) -> int:
    """Draw a token by its 1-D fp32 `logits`."""
    if drawing.temperature == 0:
        return int(logits.argmax())
    # In double precision: a low temperature must not make a likely token impossible.
    chances, order = (logits.double() / drawing.temperature).softmax(0).sort(descending=True, stable=True)
    before = chances.cumsum(0) - chances
    inside = chances * ((before < drawing.top_p) | (before == 0))  # the likeliest always
    return int(order[torch.multinomial(inside, 1, generator=generator)])
