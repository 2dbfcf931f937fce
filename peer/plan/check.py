"""A plan set beside what a run measured."""

import msgspec

from peer.plan.devices import find_device
from peer.plan.measured import Measured
from peer.plan.question import Choice, Power, Question
from peer.plan.reckon import DAY, MONTH, Plan
from peer.plan.shape import flops_a_token
from peer.plan.text import rounded
from peer.telemetry.format import format_bytes, format_seconds


class Line(msgspec.Struct, frozen=True):
    """One figure, as planned and as measured; None where it is not known."""

    name: str
    unit: str
    """`tokens/s`, `tokens`, `s`, `bytes`, `kWh`, `nats`, or empty."""
    predicted: float | None
    measured: float | None

    @property
    def ratio(self) -> float | None:
        """What was measured over what was predicted."""
        return self.measured / self.predicted if self.predicted and self.measured is not None else None


class Drawn(msgspec.Struct, frozen=True):
    """What a peer's device draws now, as far as anything here tells."""

    watts: float | None
    """While it trains; None where that was not measured."""
    said: str
    """Of which devices, or why it was not measured."""


class Check(msgspec.Struct, frozen=True):
    """The whole comparison."""

    lines: tuple[Line, ...]
    flops: float
    """Floating-point operations a second that training reached: what to plan with for this device."""
    device: str
    inner_steps: int
    """That were timed."""
    peers: int
    """Of the swarm, each taken to be as fast as this one."""
    drawn: Drawn
    planned_for: str | None = None
    """The device that was planned with, where the run was on one of another kind."""


def check(
    question: Question, choice: Choice, plan: Plan, measured: Measured, loss: float | None, drawn: Drawn
) -> Check:
    """Compare.

    Args:
        question: the swarm, with as many peers as are known.
        choice: what the run has chosen.
        plan: what was reckoned of both.
        measured: what one peer logged.
        loss: of its training, in nats a token; the plan's is of held-out text.
        drawn: what its device draws.
    """
    pace, traffic = plan.pace, plan.traffic
    outer_steps = measured.inner_steps / choice.every
    tokens = choice.batch * question.model.context / measured.inner_step_seconds
    outer_seconds = measured.inner_step_seconds * choice.every
    lines = (
        Line("tokens a second, a peer", "tokens/s", pace.tokens_per_second if pace else None, tokens),
        Line("tokens a day, a peer", "tokens", pace.tokens_per_second * DAY if pace else None, tokens * DAY),
        Line(
            "tokens a day, all peers",
            "tokens",
            pace.swarm_tokens_a_day if pace else None,
            tokens * DAY * question.peers,
        ),
        Line("an inner step", "s", pace.inner_step_seconds if pace else None, measured.inner_step_seconds),
        Line("an outer step", "s", pace.outer_step_seconds if pace else None, outer_seconds),
        Line("exchanges an outer step", "", traffic.exchanges, measured.exchanges / outer_steps),
        Line("an exchange", "s", traffic.exchange_seconds, measured.median_exchange_seconds),
        Line(
            "bytes of an exchange, out", "bytes", traffic.exchange_bytes, _mean(measured.bytes_out, measured)
        ),
        Line("bytes of an exchange, in", "bytes", traffic.exchange_bytes, _mean(measured.bytes_in, measured)),
        Line(
            "bytes a month, out", "bytes", traffic.month_bytes, measured.bytes_out / measured.seconds * MONTH
        ),
        Line(
            "kWh a day, a peer",
            "kWh",
            pace.kwh_a_day if pace else None,
            None if drawn.watts is None else drawn.watts * 24 / 1000,
        ),
        Line("loss (here: of training)", "nats", plan.loss.nats if plan.loss else None, loss),
    )
    return Check(
        lines=lines,
        flops=tokens * flops_a_token(question.model, question.vocabulary),
        device=measured.device,
        inner_steps=measured.inner_steps,
        peers=question.peers,
        drawn=drawn,
        planned_for=_other_device(question.power, measured.device),
    )


def _other_device(power: Power | None, trained_on: str) -> str | None:
    """Return the device that was planned with, unless the run may have been on such a one."""
    if power is None or power.device is None or not trained_on:
        return None
    return None if trained_on.startswith(find_device(power.device).kind) else power.device


def _mean(total: int, measured: Measured) -> float | None:
    return total / measured.exchanges if measured.exchanges else None


def as_text(found: Check) -> str:
    """Return the comparison as a table, what some of its figures are, and what to plan with from now on."""
    rows = [("", "planned", "measured", "measured / planned")]
    rows += [
        (
            line.name,
            _figure(line, line.predicted) or "-",
            _figure(line, line.measured) or "not measured",
            _ratio(line),
        )
        for line in found.lines
    ]
    told = "\n".join(
        f"{name:<27}{planned:>12}{measured:>14}{ratio:>20}".rstrip()
        for name, planned, measured, ratio in rows
    )
    plan_with = f"--flops {found.flops / 1e9:.3g}G --mfu 1"
    timed = f"{found.inner_steps:,} inner steps on {found.device}"
    notes = [
        f"All peers: {found.peers}, each at this one's pace.",
        f"kWh: {found.drawn.said}.",
        f"{timed}. To plan with what it reached: {plan_with}",
    ]
    if found.planned_for is not None:
        differ = "pace and energy compare two machines, not a plan with its run"
        notes.insert(0, f"Planned for the {found.planned_for}, measured on {found.device}: {differ}.")
    return "\n".join([told, "", *notes])


def _ratio(line: Line) -> str:
    return "-" if line.ratio is None else f"{line.ratio:.2f}"


def _figure(line: Line, value: float | None) -> str:
    if value is None:
        return ""
    match line.unit:
        case "bytes":
            return format_bytes(value)
        case "s":
            return format_seconds(value)
        case "tokens/s":
            return f"{value:,.0f}"
        case "tokens":
            return rounded(value)
    return f"{value:.2f}"
