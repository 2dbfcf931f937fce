"""A plan as a person reads it."""

from peer.plan.choose import busiest, fits
from peer.plan.exchange import SLOWER
from peer.plan.laws import SIZES
from peer.plan.question import Choice, Link, Question
from peer.plan.reckon import DAY, Loss, Pace, Plan, Traffic, reckon
from peer.telemetry.format import format_bytes, format_seconds
from protocol.presets import PRESETS

FEW_OUTER_STEPS = 20
"""Below so many, peers have hardly begun to agree: ten is what the smallest of our own runs makes."""

TOLD = 0.0005
"""Nats below which a part of the loss is not worth a line."""

_WIDTH = 19


def as_text(question: Question, choice: Choice, plan: Plan, price: float | None) -> str:
    """Return the plan in lines, with what is doubtful about it last."""
    rows = [*_model(question, plan), "", *_choices(choice, plan), ""]
    rows += [*_pace(plan.pace, price), "", *_traffic(plan.traffic, question.link), "", *_loss(plan.loss)]
    rows += ["", *(f"! {line}" for line in doubts(question, choice, plan))]
    return "\n".join(rows).rstrip()


def _row(name: str, said: str) -> str:
    return f"{name:<{_WIDTH}} {said}"


def _model(question: Question, plan: Plan) -> list[str]:
    model = question.model
    shape = f"{model.layers} layers of {model.width}, vocabulary {question.vocabulary:,}"
    return [
        _row("model", f"{rounded(plan.parameters)} parameters: {shape}, context {model.context:,}"),
        _row("peers", f"{plan.peers}, preset {question.preset}"),
        _row("tokens", f"{rounded(plan.tokens)}, {plan.tokens / plan.parameters:.3g} a parameter"),
        _row("memory", f"{format_bytes(plan.memory_bytes)} on each device, and the activations"),
    ]


def _choices(choice: Choice, plan: Plan) -> list[str]:
    outer = f"{choice.every} inner steps between two outer steps, of which there are"
    codec = f"modulo, {choice.bits} bits" if choice.codec == "modulo" else choice.codec
    return [
        _row("H", f"{outer} {choice.steps // choice.every}"),
        _row("codec", codec),
        _row(
            "batch",
            f"{choice.batch} sequences a peer, {rounded(plan.tokens_a_step)} tokens an inner step of all",
        ),
        _row(
            "learning rate",
            f"{choice.learning_rate:g}, after {choice.warmup} steps of warm-up; outer {choice.beta:g}",
        ),
        _row("inner steps", f"{choice.steps:,}"),
    ]


def _pace(pace: Pace | None, price: float | None) -> list[str]:
    if pace is None:
        return [_row("pace", "not known: name a --device, or give --flops")]
    between = f" ({pace.lowest:,.0f} to {pace.highest:,.0f})" if pace.lowest < pace.highest else ""
    steps = (
        f"{format_seconds(pace.inner_step_seconds)}; an outer step {format_seconds(pace.outer_step_seconds)}"
    )
    rows = [
        _row("tokens/s a peer", f"{pace.tokens_per_second:,.0f}{between}"),
        _row("an inner step", steps),
        _row("tokens a day", f"{rounded(pace.swarm_tokens_a_day)} of all peers"),
        _row("until the end", format_seconds(pace.days * DAY)),
    ]
    if pace.kwh is not None and pace.kwh_a_day is not None:
        rows.append(
            _row(
                "energy",
                f"{_energy(pace.kwh_a_day, price)} a day and peer, {_energy(pace.kwh, price)} in all",
            )
        )
    return rows


def _energy(kwh: float, price: float | None) -> str:
    return f"{_short(kwh)} kWh" + ("" if price is None else f" ({_short(kwh * price)} at {price:g})")


def _traffic(traffic: Traffic, link: Link | None) -> list[str]:
    if not traffic.exchanges:
        return [_row("an exchange", "none: nobody to exchange with")]
    line = [] if link is None else [_row("line", _line(link))]
    said = f"{format_bytes(traffic.exchange_bytes)} each way"
    if traffic.exchange_seconds is not None:
        said += f", {format_seconds(traffic.exchange_seconds)}"
    rows = [_row("an exchange", said)]
    if traffic.of_outer_step is not None and traffic.line_busy is not None:
        said = f"{traffic.of_outer_step:.1%} of an outer step for each of {traffic.exchanges:g}"
        rows.append(_row("they take", f"{said}; the line is busy {traffic.line_busy:.0%} of the time"))
    if traffic.month_bytes is not None:
        rows.append(_row("traffic a month", f"{format_bytes(traffic.month_bytes)} each way, day and night"))
    return line + rows


def _line(link: Link) -> str:
    up, down = (f"{8 * rate / 1e6:,.3g} Mbit/s" for rate in (link.up, link.down))
    return f"{up} up, {down} down, {1000 * link.round_trip:.3g} ms there and back"


def _loss(loss: Loss | None) -> list[str]:
    if loss is None:
        return [_row("loss", "not predicted: too far from anything that the laws were measured on")]
    rows = [_row("loss", f"{loss.nats:.2f} ± {loss.uncertainty:.2f} nats a token, held out")]
    told = [part for part in loss.parts if abs(part.nats) + part.uncertainty >= TOLD]
    return rows + [f"  {part.nats:+8.3f} ± {part.uncertainty:.3f}  {part.name}" for part in told]


def doubts(question: Question, choice: Choice, plan: Plan) -> list[str]:
    """Return what is beyond what was measured, and what will not go well, in a sentence each."""
    lines = []
    if not fits(question, plan):
        lines.append(_misfit(question, plan))
    if choice.steps // choice.every < FEW_OUTER_STEPS and plan.peers > 1:
        lines.append(
            f"Only {choice.steps // choice.every} outer steps: train on more tokens, or with a faster line"
        )
    notes = {part.note: part.name for part in (plan.loss.parts if plan.loss else ()) if part.note}
    lines += [f"Loss: {note}" for note in notes]
    if plan.loss is not None and not 16_000 <= question.vocabulary <= 64_000:
        lines.append(
            f"Loss: the laws are of a vocabulary of 32,768; with {question.vocabulary:,} it is another number"
        )
    if plan.loss is not None:
        lines.append(
            "Loss: of C4, a text of the web; another text has another, and only differences carry over"
        )
    if question.parameters < SIZES[0]:
        lines.append(
            "Learning rate: that of 35 M parameters, the smallest measured; batch: by the law, beyond it"
        )
    if question.power is not None and (question.power.memory or plan.memory_bytes) < plan.memory_bytes:
        lines.append("Memory: more than the device has")
    if question.power is not None and question.power.assumed:
        lines.append(f"Pace: {question.power.mfu:.0%} of the device's peak is assumed, not measured")
    if PRESETS[question.preset].group == 2 and plan.traffic.exchange_seconds is not None:
        lines.append(f"Exchange: up to {SLOWER:g} times longer where codec and training share few cores")
    return lines


def _misfit(question: Question, plan: Plan) -> str:
    traffic = plan.traffic
    most = busiest(question.preset)
    if traffic.line_busy is not None and traffic.line_busy > most:
        busy = f"exchanges take {traffic.line_busy:.0%} of the time, {most:.0%} is the most that works well"
        return f"The line is too slow: {busy}. Take a smaller model, a larger H, or fewer bits"
    return f"More than the {format_bytes(question.monthly or 0)} a month that a peer may send"


def rounded(number: float) -> str:
    """Return a number to three digits, with a letter for its thousands: 1.38 B is a billion and more."""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        # 999,600 would be 1e+03 thousands.
        if number >= 0.9995 * size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def differences(question: Question, chosen: Choice, suggested: Choice) -> str:
    """Return what the laws would choose otherwise, and what that would change."""
    names = ("every", "codec", "bits", "batch", "learning_rate", "warmup", "beta")
    pairs = [(name, getattr(chosen, name), getattr(suggested, name)) for name in names]
    told = [f"{name} {theirs} (here {ours})" for name, ours, theirs in pairs if ours != theirs]
    if not told:
        return "\nThe laws would choose the same."
    before, after = reckon(question, chosen).loss, reckon(question, suggested).loss
    gain = f", for {after.nats - before.nats:+.3f} nats by H, codec and delay" if before and after else ""
    return f"\nThe laws would choose {', '.join(told)}{gain}. --write keeps that."
