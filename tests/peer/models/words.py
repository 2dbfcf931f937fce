"""A tokenizer as people train them: byte-level BPE that splits as GPT-2 does, with a special token."""

from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from peer.trainer import sources


def train_tokenizer(path: Path) -> Path:
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([sources.embedded("shakespeare")[:200_000].decode()], trainer)
    made.save(str(path))
    return path
