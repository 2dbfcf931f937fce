"""The question and the choices that a run's manifest stands for."""

from typing import Literal

from peer.errors import UsageError
from peer.plan.question import Choice, Link, Power, Question
from protocol.manifest import Manifest

AUTO = "modulo"
"""What `auto` is counted as: most links get it."""


def foreign_model(kind: Literal["task", "base"]) -> UsageError:
    """Return what to say of a run that does not train the built-in model from its beginning."""
    what = "a plug-in's task" if kind == "task" else "tuning a base model"
    return UsageError(f"No law tells of {what}", "Plan a run of the built-in model, such as --params 160M")


def question_of(
    manifest: Manifest,
    peers: int,
    *,
    tokens: float | None = None,
    power: Power | None = None,
    link: Link | None = None,
    monthly: float | None = None,
) -> Question:
    """Return the question of a swarm of so many peers that trains this run, by default until its last step.

    Raises:
        UsageError: the run is of a kind that no law speaks of.
    """
    if manifest.task or manifest.model.pretrained:
        raise foreign_model("task" if manifest.task else "base")
    if manifest.outer.preset == "onebyte":
        raise UsageError(
            "No law tells of the preset onebyte, which fine-tunes by forward passes", "Plan another preset"
        )
    inner, model = manifest.inner, manifest.model
    return Question(
        model=model,
        vocabulary=manifest.tokenizer.vocabulary,
        peers=peers,
        tokens=tokens or float(peers * inner.batch * model.context * inner.steps),
        preset=manifest.outer.preset,
        power=power,
        link=link,
        monthly=monthly,
    )


def choice_of(manifest: Manifest) -> Choice:
    """Return what the run has chosen already."""
    inner, codec = manifest.inner, manifest.codecs[0]
    return Choice(
        every=manifest.outer.every,
        codec=AUTO if codec == "auto" else codec,
        bits=manifest.modulo_bits,
        batch=inner.batch,
        learning_rate=inner.learning_rate,
        warmup=inner.warmup,
        steps=inner.steps,
        beta=manifest.outer.beta,
    )
