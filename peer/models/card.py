"""The model card: what an exported model is, how it was made, and how to use it."""

from typing import Literal

import msgspec

from protocol.foreign import Pretrained
from protocol.manifest import Data, Manifest, Part

Kind = Literal["model", "adapters", "merged", "task"]

_SOURCES = {
    "shakespeare": "the works of Shakespeare that come with Murmuration",
    "python": "the sources of Python's standard library and of PyTorch",
    "text": "a text",
    "tokens": "a file of tokens",
}


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """One replica of the average."""

    name: str
    inner_step: int
    outer_step: int
    tokens: int
    """Trained on by this replica and by those that it descends from."""
    distance: float
    """From the mean, as a share of the mean's length."""


class Spreads(msgspec.Struct, frozen=True, kw_only=True):
    """Root mean square of the replicas' distances from the mean, as a share of the mean's length."""

    overall: float
    tensors: dict[str, float]


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """`murmuration.json`: where a model comes from. Fields keep their names and meanings."""

    run_id: str
    run_name: str
    preset: str
    parameters: int
    """Of what was averaged: of a whole model, or of adapters."""
    dtype: str
    replicas: list[Origin]
    spread: Spreads
    kind: Kind = "model"
    """`adapters` are of a base model; `merged` is the base model with them in it; a `task` is a plug-in's."""
    base: str | None = None
    """The base model's name, where there is one."""
    context: int | None = None
    """Tokens of one sequence in training."""


def subject(made: Provenance) -> str:
    """Say of what the weights are, and how far replicas are apart."""
    if len(made.replicas) == 1:
        return "one replica"
    return (
        f"the average of {len(made.replicas)} replicas, which are {made.spread.overall:.2%} from it "
        "(root mean square),"
    )


def rows(made: Provenance) -> str:
    """Return the table of the replicas."""
    what = "examples" if made.kind == "task" else "tokens"
    head = (
        f"| replica | inner steps | outer steps | {what} | distance from the mean |\n|---|---|---|---|---|\n"
    )
    return head + "\n".join(
        f"| {one.name} | {one.inner_step:,} | {one.outer_step:,} | {one.tokens:,} | {one.distance:.2%} |"
        for one in made.replicas
    )


def write(manifest: Manifest, made: Provenance, *, gguf: bool = False) -> str:
    """Return the card as Markdown with the head that the Hugging Face Hub reads."""
    return f"""---
{_head(manifest, made)}
---

# {made.run_name}

{_what(manifest, made)}: {subject(made)} of a run of Murmuration, which
trains one model on many machines that nobody coordinates.

Run: `{made.run_id}`, outer rule `{made.preset}`.

{rows(made)}

- **Architecture**: {_architecture(manifest, made)}.
- **Data**: {_data(manifest.data)}; {manifest.data.held_out:.0%} of it was held out.
- **Tokenizer**: {_tokenizer(manifest)}. Text is encoded without special tokens at its ends.
- **Inner optimiser**: {manifest.inner.kind}, learning rate {manifest.inner.learning_rate:g},
  {manifest.inner.batch} sequences of {manifest.model.context} tokens a step; an outer step every
  {manifest.outer.every} inner steps.

## Use

{_use_adapters(manifest) if made.kind == "adapters" else _use(gguf=gguf)}
`murmuration.json` has the spread of each tensor.
"""


def _head(manifest: Manifest, made: Provenance) -> str:
    pretrained = manifest.model.pretrained
    lines = [f"library_name: {'peft' if made.kind == 'adapters' else 'transformers'}"]
    lines += ["pipeline_tag: text-generation", "tags:", "- murmuration"]
    if not pretrained:
        lines.append("- llama")
    elif pretrained.lora:
        lines.append("- lora")
    if pretrained and pretrained.revision:
        lines.insert(1, f"base_model: {pretrained.source}")
    return "\n".join(lines)


def _what(manifest: Manifest, made: Provenance) -> str:
    pretrained, size = manifest.model.pretrained, f"{made.parameters:,} parameters"
    if not pretrained:
        return f"A language model of {size}"
    if made.kind == "adapters":
        return f"LoRA adapters of {size} for the {_base(pretrained)}"
    if made.kind == "merged":
        return f"The {_base(pretrained)} with LoRA adapters of {size} merged into it"
    return f"The {_base(pretrained)}, trained on: a language model of {size}"


def _base(pretrained: Pretrained) -> str:
    at = f" (commit `{pretrained.revision}`)" if pretrained.revision else ""
    return f"model {pretrained.source}{at}"


def _architecture(manifest: Manifest, made: Provenance) -> str:
    model = manifest.model
    if model.pretrained:
        lora = model.pretrained.lora
        of = (
            f"adapters of rank {lora.rank}, alpha {lora.alpha:g}, at {', '.join(lora.targets)}"
            if lora
            else "as is"
        )
        return f"that of {model.pretrained.source}, {of}, {made.dtype}"
    return (
        f"Llama's: {model.layers} layers of width {model.width}, {model.heads} heads,\n"
        f"  feed-forward of {model.hidden}, context of {model.context} tokens, tied embedding, {made.dtype}"
    )


def _data(data: Data) -> str:
    total = sum(part.weight for part in data.parts)
    if len(data.parts) == 1:
        return _part(data.parts[0])
    return "a mixture of " + ", ".join(f"{part.weight / total:.0%} {_part(part)}" for part in data.parts)


def _part(part: Part) -> str:
    if part.dataset:
        at = f" (commit `{part.dataset.revision}`)" if part.dataset.revision else ""
        subset = f", {part.dataset.subset}" if part.dataset.subset else ""
        return f"the data set {part.dataset.name}{subset}, split {part.dataset.split}{at}"
    named = f" (SHA-256 `{part.sha256.hex()}`)" if part.sha256 else ""
    return _SOURCES[part.source] + named


def _tokenizer(manifest: Manifest) -> str:
    if manifest.tokenizer.kind == "bytes":
        return "the bytes of UTF-8 text"
    return f"the run's own, of {manifest.tokenizer.vocabulary:,} tokens"


def _use(*, gguf: bool) -> str:
    more = " `model.gguf` is the same model for llama.cpp." if gguf else ""
    return f"""```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")
prompt = tokenizer("Once upon", return_tensors="pt", add_special_tokens=False)
print(tokenizer.decode(model.generate(**prompt, max_new_tokens=50)[0]))
```

Or `peer sample "Once upon" --model path/to/this/folder`.{more}"""


def _use_adapters(manifest: Manifest) -> str:
    pretrained = manifest.model.pretrained
    at = f', revision="{pretrained.revision}"' if pretrained and pretrained.revision else ""
    return f"""```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained("{pretrained.source if pretrained else ""}"{at})
model = PeftModel.from_pretrained(base, "path/to/this/folder")
```

The base model must be the very one that the run names."""
