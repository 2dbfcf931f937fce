"""Loss of models on a text: every token but the first is predicted once, in windows of its context."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from peer.errors import DataError
from peer.models.loaded import Loaded
from peer.models.replicas import Report
from peer.trainer import data, sources

LOGITS = 1 << 25
"""Logits of one batch at the most: 128 MiB in fp32, and as much again for their loss."""

PIECE = 1 << 20
"""Bytes of text that are turned into tokens at a time."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text as a model's tokens.

    Attributes:
        tokens: 1-D int32; at least two.
        size: of the text, bytes.
    """

    tokens: Tensor
    size: int


@dataclass(frozen=True, slots=True)
class Score:
    """How well a model predicts a text.

    Attributes:
        loss: nats a token, over every token but the first.
        perplexity: e to the loss.
        bits_per_byte: the same loss, for models of different tokenizers: in bits, for each byte of the text.
    """

    loss: float
    perplexity: float
    bits_per_byte: float


def read(path: Path, model: Loaded) -> Text:
    """Return the UTF-8 text of the file at `path` as tokens.

    Raises:
        DataError: it cannot be read, is not UTF-8, or holds less than two tokens.
    """
    text = sources.read_text(path)
    found: list[Tensor] = []
    for piece in data.cut(text, PIECE):
        encoding = model.tokenizer.encode(piece.decode(), add_special_tokens=False)
        found.append(torch.tensor(encoding.ids, dtype=torch.int32))
    tokens = torch.cat(found) if found else torch.empty(0, dtype=torch.int32)
    if tokens.numel() < 2:
        raise DataError(
            f"{path} is too short: {len(text)} bytes, {tokens.numel()} tokens", "Take a text of some pages."
        )
    return Text(tokens, len(text))


def score(model: Loaded, text: Text, report: Report) -> Score:
    """Return how well the model predicts the text; `report` is told the tokens done, of all."""
    loss = text_loss(model.net, text.tokens, model.context, report)
    size = text.size / text.tokens.numel()
    return Score(loss, math.exp(min(loss, 700.0)), loss / math.log(2) / size)


@torch.no_grad()
def text_loss(net: nn.Module, tokens: Tensor, context: int, report: Report) -> float:
    """Return the mean loss, nats a token, over every one of the 1-D `tokens` but the first, in fp32.

    Windows do not overlap: the first token of each is predicted from one token, its last from `context`.
    """
    embeddings = (module for module in net.modules() if isinstance(module, nn.Embedding))
    embedding = max(embeddings, key=lambda each: each.num_embeddings)  # some embed positions as well
    device = embedding.weight.device
    windows, total = data.window_count(tokens, context), 0.0
    at_once = max(1, LOGITS // (context * embedding.num_embeddings))
    for start in range(0, windows, at_once):
        part = list(range(start, min(start + at_once, windows)))
        total += float(net(data.batch(tokens, part, context).to(device))) * len(part) * context
        report((start + len(part)) * context, tokens.numel() - 1)
    rest = tokens[windows * context :].to(torch.int64)
    if rest.numel() > 1:
        total += float(net(rest[None].to(device))) * (rest.numel() - 1)
    report(tokens.numel() - 1, tokens.numel() - 1)
    return total / (tokens.numel() - 1)
