"""A plan as a picture: loss against tokens, traffic against H, and loss beside what a run measured."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from peer.errors import UsageError
from peer.extras import load
from peer.plan import laws
from peer.plan.choose import EVERY, busiest
from peer.plan.exchange import codings
from peer.plan.question import Choice, Question
from peer.plan.reckon import DAY, MONTH, reckon

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 40


def check_extra() -> None:
    """Look whether pictures can be drawn here, before anything is reckoned.

    Raises:
        ExtraMissingError: matplotlib is not installed.
    """
    load("matplotlib.figure", "plot", "--plot")


def draw(question: Question, choice: Choice, path: Path) -> None:
    """Write a PNG.

    Raises:
        ExtraMissingError: matplotlib is not installed.
        UsageError: the file cannot be written.
    """
    figure = _figure(10)
    left, right = figure.subplots(1, 2)
    _draw_planned(left, question, choice)
    _draw_days(left, question)
    _draw_traffic(right, question, choice)
    _save(figure, path)


def draw_check(
    question: Question, choice: Choice, measured: Sequence[tuple[float, float]], path: Path
) -> None:
    """Write a PNG of the losses that a run measured, beside those that were planned.

    Args:
        question: the swarm; its tokens are those that were trained on.
        choice: what the run has chosen.
        measured: tokens of all peers, and the training loss there; at least one pair.
        path: of the picture.

    Raises:
        ExtraMissingError: as `draw`.
        UsageError: likewise.
    """
    figure = _figure(7)
    axes = figure.subplots()
    _draw_planned(axes, question, choice)
    axes.plot(*zip(*measured, strict=True), color="#e65100", label="measured: of training, one peer")
    axes.set_xlabel("tokens of all peers, each planned point a run of its own")
    axes.legend(frameon=False, fontsize="small")
    _save(figure, path)


def _figure(width: float) -> "Figure":
    check_extra()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, 4), layout="constrained")


def _save(figure: "Figure", path: Path) -> None:
    try:
        figure.savefig(path, format="png", dpi=130)
    except OSError as error:
        raise UsageError(
            f"Cannot draw {path} ({error.strerror})", "Choose a folder that you may write"
        ) from error


def _draw_planned(axes: "Axes", question: Question, choice: Choice) -> None:
    """Draw the losses of runs of other lengths, where the laws tell any."""
    ratio = laws.MOST_TOKENS / laws.FEWEST_TOKENS
    budgets = [
        question.parameters * laws.FEWEST_TOKENS * ratio ** (i / (POINTS - 1)) * (1 + 1e-9)
        for i in range(POINTS)
    ]
    found = [(each, reckon(replace(question, tokens=each), choice).loss) for each in budgets[:-1]]
    told = [(tokens, loss) for tokens, loss in found if loss is not None]
    axes.set(
        xscale="log", xlabel="tokens of all peers, each point a run of its own", ylabel="loss, nats a token"
    )
    axes.set_title(f"{question.parameters / 1e6:.3g} M parameters, {question.peers} peers")
    axes.grid(alpha=0.3)
    if not told:
        said = "no loss is planned: too far from the tables"
        axes.text(0.5, 0.92, said, ha="center", transform=axes.transAxes)
        return
    tokens = [each for each, _ in told]
    axes.plot(tokens, [loss.nats for _, loss in told], color="#00695c", label="planned: held out")
    low, high = ([loss.nats + sign * loss.uncertainty for _, loss in told] for sign in (-1, 1))
    axes.fill_between(tokens, low, high, color="#00695c", alpha=0.15, linewidth=0)
    axes.axvline(question.tokens, color="#90a4ae", linestyle=":")


def _draw_days(axes: "Axes", question: Question) -> None:
    """Say above the tokens in how many days they are trained on, by the limits as they are now."""
    if question.tokens_per_second is None:
        return
    a_day = question.tokens_per_second * question.peers * DAY
    low_end, high_end = axes.get_xlim()
    top = axes.twiny()
    top.set(xscale="log", xlim=(low_end / a_day, high_end / a_day), xlabel="days")


def _draw_traffic(axes: "Axes", question: Question, choice: Choice) -> None:
    axes.set(xscale="log", yscale="log", xlabel="H, inner steps between two outer steps")
    timed = question.power is not None
    axes.set_ylabel("GB a month and peer, each way" if timed else "MB an inner step and peer, each way")
    for coding in codings(question.preset):
        made = [
            (
                every,
                reckon(question, replace(choice, every=every, codec=coding.codec, bits=coding.bits)).traffic,
            )
            for every in EVERY
        ]
        heights = [
            (traffic.month_bytes or 0.0) / 1e9 if timed else traffic.outer_step_bytes / every / 1e6
            for every, traffic in made
        ]
        name = f"modulo, {coding.bits} bits" if coding.codec == "modulo" else coding.codec
        axes.plot(EVERY, heights, marker=".", label=name)
    axes.axvline(choice.every, color="#90a4ae", linestyle=":")
    if timed and question.link is not None:
        most = busiest(question.preset) * min(question.link.up, question.link.down) * MONTH / 1e9
        axes.axhline(most, color="#c62828", linestyle="--", label="the most that the line carries well")
    axes.set_xticks(EVERY, [str(every) for every in EVERY])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize="small")
    axes.grid(alpha=0.3)
