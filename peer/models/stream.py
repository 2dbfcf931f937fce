"""Tokens back to text as they come: a character is shown once its last byte is there."""

from collections.abc import Iterable, Iterator

import tokenizers

BEFORE = 8
"""Tokens of the prompt that are decoded along: some tokenizers write a word differently at a text's start."""

UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def pieces(tokenizer: tokenizers.Tokenizer, prompt: list[int], tokens: Iterable[int]) -> Iterator[str]:
    """Yield the text of `tokens`, which follow `prompt`, as soon as it is sure; what is no UTF-8 is U+FFFD.

    Together the pieces are what the tokens mean when they are decoded at once.
    """
    shown, pending, told = prompt[-BEFORE:], list[int](), 0
    for token in tokens:
        pending.append(token)
        text = _after(tokenizer, shown, pending)
        # What cannot be read yet may be the beginning of a character.
        open_ended = text.endswith(UNKNOWN)
        sure = text[:-1] if open_ended else text
        if sure[told:]:
            yield sure[told:]
        told = len(sure)
        if text and not open_ended:
            shown, pending, told = pending, [], 0
    if rest := _after(tokenizer, shown, pending)[told:]:
        yield rest


def for_terminal(text: str) -> str:
    """Replace what could move a terminal's cursor or colour it: nobody vouches for what a model says."""
    return "".join(char if char.isprintable() or char in "\n\t" else UNKNOWN for char in text)


def _after(tokenizer: tokenizers.Tokenizer, shown: list[int], pending: list[int]) -> str:
    before = tokenizer.decode(shown, skip_special_tokens=False)
    return tokenizer.decode(shown + pending, skip_special_tokens=False)[len(before) :]
