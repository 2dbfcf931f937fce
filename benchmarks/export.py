"""The exported model in other programs: its loss and logits in transformers and llama.cpp, beside ours.

    python -m benchmarks.export [--steps 100]

Trains two replicas of two small runs, one on bytes and one with a byte-level BPE of its own, exports their
average, and takes its loss on the same held-out windows in the trainer's model, in transformers (safetensors
and GGUF) and in llama.cpp. Needs the extras `gguf` and `hf`, and llama-cpp-python, which is compiled: without
that, its rows are missing.
"""

import argparse
import hashlib
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers, trainers
from torch import Tensor

from benchmarks.record import write_record
from peer.models.export import Order, Precision, export
from peer.models.forms import GGUF
from peer.models.loaded import of_folder
from peer.models.replicas import Replica, Replicas, unheard
from peer.trainer import checkpoint, data, sources
from peer.trainer.model import Transformer
from peer.trainer.replica import Replica as Trainer
from peer.trainer.work import Places, plain
from protocol.codec import digest, encode
from protocol.manifest import Manifest, Tokenizer

VOCABULARY = 1000
WINDOWS = 64
HALF, FULL = 1, 0
"""llama.cpp's numbers for keys and values in fp16, which is its default, and in fp32."""

Logits = Callable[[Tensor], Tensor]
"""From int64 tokens (time) to logits (time, vocabulary)."""


def train_tokenizer(path: Path) -> Path:
    """Write a byte-level BPE, trained on some of the corpus."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator([sources.embedded("shakespeare")[:1_000_000].decode()], trainer)
    made.save(str(path))
    return path


def train(folder: Path, manifest: Manifest, tokenizer: Path | None, steps: int) -> tuple[Replicas, Tensor]:
    """Train two replicas that never mix, and return them and the run's held-out tokens."""
    corpus, run_id = data.load(manifest, None, tokenizer), digest(encode(manifest))
    members: list[Replica] = []
    for shard in range(2):
        one = Trainer(manifest, plain(manifest, corpus, shard), torch.device("cpu"))
        for _ in range(steps):
            one.take_inner_step()
        path = checkpoint.save(folder / str(shard), run_id, one.contents())
        members.append(Replica(str(shard), path, one.counters))
    places = Places(tokenizer=tokenizer)
    return Replicas(run_id.hex(), manifest, places, tuple(members)), corpus.held_out


def compare(folder: Path, held_out: Tensor) -> dict[str, object]:
    """Return each program's loss and, beside ours, its largest difference of a logit."""
    ours = of_folder(folder, torch.device("cpu"))
    net = cast("Transformer", ours.net)
    context, count = ours.context, data.window_count(held_out, ours.context)
    windows = data.batch(held_out, [(2 * i + 1) * count // (2 * WINDOWS) for i in range(WINDOWS)], context)
    wanted = torch.stack([net.logits(window[None, :-1])[0] for window in windows])
    results: dict[str, object] = {"peer": {"loss": _loss(wanted, windows)}}
    programs = {"transformers": _transformers(folder), "transformers, GGUF": _transformers(folder, GGUF)}
    if importlib.util.find_spec("llama_cpp"):
        programs["llama.cpp"] = _llama_cpp(folder, context, FULL)
        programs["llama.cpp, fp16 keys and values"] = _llama_cpp(folder, context, HALF)
        text = sources.embedded("austen")[:100_000]
        results["llama.cpp cuts text as we do"] = _cut_by_llama_cpp(folder, text) == [
            *ours.tokenizer.encode(text.decode(), add_special_tokens=False).ids
        ]
    for name, logits in programs.items():
        found = torch.stack([logits(window[:-1]) for window in windows])
        apart = float((found - wanted).abs().max())
        results[name] = {"loss": _loss(found, windows), "largest_logit_difference": apart}
    return results


def _loss(logits: Tensor, windows: Tensor) -> float:
    return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()))


def _transformers(folder: Path, gguf: str | None = None) -> Logits:
    from transformers import LlamaForCausalLM

    net = LlamaForCausalLM.from_pretrained(folder, gguf_file=gguf)

    @torch.no_grad()
    def logits(tokens: Tensor) -> Tensor:
        found: Tensor = net(input_ids=tokens[None]).logits[0].float()
        return found

    return logits


def _llama_cpp(folder: Path, context: int, kept: int) -> Logits:
    from llama_cpp import Llama

    model: Any = Llama(
        str(folder / GGUF), n_ctx=context, logits_all=True, type_k=kept, type_v=kept, verbose=False
    )

    def logits(tokens: Tensor) -> Tensor:
        model.reset()
        model.eval(tokens.tolist())
        return torch.tensor(model.scores[: len(tokens)])

    return logits


def _cut_by_llama_cpp(folder: Path, text: bytes) -> list[int]:
    from llama_cpp import Llama

    model = Llama(str(folder / GGUF), vocab_only=True, verbose=False)
    found: list[int] = model.tokenize(text, add_bos=False)
    return found


def main() -> None:
    """Run it all, and write the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100)
    steps = parser.parse_args().steps
    os.environ["HF_HUB_OFFLINE"] = "1"
    began, results = time.monotonic(), dict[str, object]()
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        file = train_tokenizer(folder / "tokenizer.json")
        sha256 = hashlib.sha256(file.read_bytes()).digest()
        plain = Manifest(founder=bytes(32))
        words = Tokenizer(kind="file", vocabulary=VOCABULARY, sha256=sha256)
        for name, tokenizer in (("bytes", Tokenizer()), ("bpe", words)):
            manifest = msgspec.structs.replace(plain, tokenizer=tokenizer)
            given = file if tokenizer.kind == "file" else None
            replicas, held_out = train(folder / name, manifest, given, steps)
            for precision in precisions:
                to = folder / f"{name}-{precision}"
                export(replicas, Order(to, precision, force=False, gguf=True), unheard)
                results[f"{name}, {precision}"] = compare(to, held_out)
    write_record("export", {"steps": steps, "windows": WINDOWS, **results}, time.monotonic() - began)


if __name__ == "__main__":
    main()
