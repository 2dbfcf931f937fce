"""The model card: what an exported model is, how it was made, and how to use it."""

import msgspec

from protocol.manifest import Data, Manifest

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
    dtype: str
    replicas: list[Origin]
    spread: Spreads


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
    head = (
        "| replica | inner steps | outer steps | tokens | distance from the mean |\n|---|---|---|---|---|\n"
    )
    return head + "\n".join(
        f"| {one.name} | {one.inner_step:,} | {one.outer_step:,} | {one.tokens:,} | {one.distance:.2%} |"
        for one in made.replicas
    )


def write(manifest: Manifest, made: Provenance, *, gguf: bool) -> str:
    """Return the card as Markdown with the head that the Hugging Face Hub reads."""
    model = manifest.model
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags:
- murmuration
- llama
---

# {made.run_name}

A language model of {made.parameters:,} parameters: {subject(made)} of a run of Murmuration, which trains
one model on many machines that nobody coordinates.

Run: `{made.run_id}`, outer rule `{made.preset}`.

{rows(made)}

- **Architecture**: Llama's: {model.layers} layers of width {model.width}, {model.heads} heads,
  feed-forward of {model.hidden}, context of {model.context} tokens, tied embedding, {made.dtype}.
- **Data**: {_data(manifest.data)}; {manifest.data.held_out:.0%} of it was held out.
- **Tokenizer**: {_tokenizer(manifest)}. Text is encoded without special tokens at its ends.
- **Inner optimiser**: {manifest.inner.kind}, learning rate {manifest.inner.learning_rate:g},
  {manifest.inner.batch} sequences a step; an outer step every {manifest.outer.every} inner steps.

## Use

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")
prompt = tokenizer("Once upon", return_tensors="pt", add_special_tokens=False)
print(tokenizer.decode(model.generate(**prompt, max_new_tokens=50)[0]))
```

Or `peer sample "Once upon" --model path/to/this/folder`.{_gguf() if gguf else ""}
`murmuration.json` has the spread of each tensor.
"""


def _data(data: Data) -> str:
    named = f" (SHA-256 `{data.sha256.hex()}`)" if data.sha256 else ""
    return _SOURCES[data.source] + named


def _tokenizer(manifest: Manifest) -> str:
    if manifest.tokenizer.kind == "bytes":
        return "the bytes of UTF-8 text"
    return f"the run's own, of {manifest.tokenizer.vocabulary:,} tokens"


def _gguf() -> str:
    return " `model.gguf` is the same model for llama.cpp."
