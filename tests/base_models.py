"""Small models of `transformers` that tests make themselves, with a tokenizer: nothing is fetched."""

from pathlib import Path

import torch

CONTEXT = 64


def write_tokenizer(folder: Path, text: str, vocabulary: int = 512) -> None:
    """Train a byte-level BPE on the text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([text], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))


def llama(vocabulary: int = 512, width: int = 64, layers: int = 2):
    """A Llama with its first weights, the same each time."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=width * 3,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
        )
    )


def gpt2(vocabulary: int = 512, width: int = 64, layers: int = 3):
    """A GPT-2, whose linear layers are transposed and whose layers have biases."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocabulary,
            n_embd=width,
            n_layer=layers,
            n_head=2,
            n_positions=CONTEXT,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def save(model, folder: Path) -> Path:
    """Write it as people find it on the Hub."""
    import transformers

    transformers.logging.disable_progress_bar()
    model.save_pretrained(folder)
    return folder


def pretrain(model, tokens, steps: int, batch: int = 16) -> None:
    """Teach it a little, so that there is something to tune finely."""
    windows = tokens[: len(tokens) // CONTEXT * CONTEXT].view(-1, CONTEXT)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        chosen = windows[torch.randint(len(windows), (batch,), generator=generator)]
        loss = model(input_ids=chosen, labels=chosen).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
