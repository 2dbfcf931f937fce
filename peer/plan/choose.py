"""The choices of a plan: batch and learning rates by the laws, codec and H by the line."""

from peer.plan import laws
from peer.plan.exchange import Coding, codings
from peer.plan.question import Choice, Question
from peer.plan.reckon import Plan, of_exchanging, reckon
from protocol.presets import PRESETS

EVERY = (30, 50, 100, 200, 300, 500, 1000)
"""H to choose from: the laws are of 30, and DiLoCo was measured up to 1,000."""

USUAL_EVERY = 50
"""H where it is not known how fast peers are: NoLoCo's (arXiv 2506.10911)."""

USUAL_BITS = 4

BUSIEST = 0.5
"""The part of the time in which exchanges may take the line: others in the house use it too, and partners
must be free when one looks for them."""

LONGEST_WAIT = 0.1
"""The part of the time that training may wait for exchanges, with presets that do not overlap them."""

WARMUP = 1000
"""Inner steps, as in the scaling laws; a tenth of a short run."""


def choose(question: Question) -> Choice:
    """Return the choices with the least predicted loss, and of equals those with the fewest bytes.

    Where none keeps the line below half busy and the bytes below their limit, it is what comes nearest.
    """
    every = EVERY if question.power is not None else (USUAL_EVERY,)
    plans = [
        (plan, choice)
        for each in every
        for coding in _codings(question)
        if (plan := reckon(question, choice := _choice(question, each, coding)))
    ]
    if fitting := [each for each in plans if fits(question, each[0])]:
        return min(fitting, key=lambda each: _worth(question, *each))[1]
    return min(plans, key=lambda each: (_bytes_a_step(*each), each[1].every))[1]


def fits(question: Question, plan: Plan) -> bool:
    """Return whether a plan keeps the line below half busy, and the bytes below their limit."""
    traffic, most = plan.traffic, question.monthly
    if traffic.line_busy is not None and traffic.line_busy > busiest(question.preset):
        return False
    return most is None or traffic.month_bytes is None or traffic.month_bytes <= most


def busiest(preset: str) -> float:
    """Return the part of the time that exchanges may take."""
    return BUSIEST if PRESETS[preset].overlap else LONGEST_WAIT


def _codings(question: Question) -> list[Coding]:
    all_of_them = codings(question.preset)
    if question.power is not None and question.link is not None:
        return all_of_them
    return [each for each in all_of_them if each.bits <= USUAL_BITS][:1]


def _worth(question: Question, plan: Plan, choice: Choice) -> tuple[float, float]:
    parts = of_exchanging(question, choice, plan.traffic.of_outer_step)
    return round(sum(part.nats for part in parts), 4), _bytes_a_step(plan, choice)


def _bytes_a_step(plan: Plan, choice: Choice) -> float:
    return plan.traffic.outer_step_bytes / choice.every


def _choice(question: Question, every: int, coding: Coding) -> Choice:
    parameters, peers = question.parameters, question.peers
    context = question.model.context
    batch = max(1, round(laws.batch_tokens(parameters, peers) / peers / context))
    steps = max(1, round(question.tokens / (peers * batch * context)))
    rule = PRESETS[question.preset]
    return Choice(
        every=every,
        codec=coding.codec,
        bits=coding.bits,
        batch=batch,
        learning_rate=float(f"{laws.learning_rate(parameters, peers):.2g}"),
        warmup=min(WARMUP, steps // 10),
        steps=steps,
        beta=laws.diloco_outer_rate(peers) if question.preset == "diloco" else rule.beta,
    )
