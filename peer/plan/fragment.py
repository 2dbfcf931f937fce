"""The `run.toml` that a plan comes to."""

from peer.config.describe import toml
from peer.plan.question import Choice, Question
from protocol.presets import PRESETS

_BYTES = 256
"""The vocabulary that needs no tokenizer file."""

_TOKENIZER = (
    "# Put a Hugging Face tokenizer.json of this vocabulary beside this file, such as a model's on the Hub.",
    "# `peer plan --vocabulary 256` plans for bytes, which need none.",
)


def run_file(question: Question, choice: Choice) -> str:
    """Return a `run.toml`, without keys that keep their defaults."""
    model = question.model
    sections: dict[str, dict[str, object]] = {
        "model": {name: getattr(model, name) for name in ("layers", "width", "heads", "hidden", "context")},
        "inner": {
            "learning_rate": choice.learning_rate,
            "final_ratio": 0.05,
            "warmup": choice.warmup,
            "steps": choice.steps,
            "beta2": 0.99,
            "weight_decay": float(f"{1 / choice.steps:.2g}"),
            "batch": choice.batch,
        },
        "outer": {"preset": question.preset, "every": choice.every},
    }
    if choice.beta != PRESETS[question.preset].beta:
        sections["outer"]["beta"] = choice.beta
    if question.vocabulary != _BYTES:
        tokenizer = {"kind": "file", "vocabulary": question.vocabulary, "path": "tokenizer.json"}
        sections = {"tokenizer": tokenizer, **sections}
    lines = [
        "# By `peer plan`: batch, learning rate, warm-up, decay and beta2 as in arXiv 2503.09799.",
        "# Name your text in [data]; `peer init` explains every key.",
        *(_TOKENIZER if question.vocabulary != _BYTES else ()),
        f"codecs = {toml([choice.codec])}",
    ]
    if choice.codec == "modulo":
        lines.append(f"modulo_bits = {choice.bits}")
    for name, keys in sections.items():
        lines += ["", f"[{name}]", *(f"{key} = {toml(value)}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"
