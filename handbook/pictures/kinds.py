"""Pictures of the outer rule's other two kinds, fragments and votes: no measurement stands in them."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from handbook.pictures.sketches import GREY, WAIT, A, B

COLOURS = (A, B, "#3949ab", "#8e24aa")


def fragments() -> dict[str, int]:
    """Return H, the fragments, and the inner steps for which the whole model is on its way."""
    return {"every": 48, "fragments": 4, "flight": 20, "steps": 152}


def draw_fragments(figure: Figure, data: dict[str, int]) -> None:
    """Draw when the whole model is on the line, and when each fragment is."""
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, data["fragments"]))
    every, count = data["every"], data["fragments"]
    _draw_flights(upper, 0, every, data, data["flight"], GREY)
    for part in range(count):
        first = (part + 1) * every // count
        _draw_flights(lower, part, first, data, data["flight"] // count, COLOURS[part])
    upper.set_title("the whole model at once: a long exchange every H inner steps", loc="left")
    lower.set_title("a fragment at a time: as many bytes, spread, and each mix lands sooner", loc="left")
    upper.set_yticks([0], ["all layers"])
    names = [", ".join(str(layer) for layer in range(part, 3 * count, count)) for part in range(count)]
    lower.set_yticks(range(count), [f"layers {each}" for each in names])
    lower.set_xticks(range(0, data["steps"], every), ["0", "H", "2H", "3H"])
    lower.set_xlabel("inner steps; they never stop: a dot is an outer step, a bar its exchange on the way")


def _draw_flights(axes: Axes, row: int, first: int, data: dict[str, int], length: int, colour: str) -> None:
    axes.axhline(row, color=WAIT, linewidth=1, zorder=0)
    for start in range(first, data["steps"], data["every"]):
        axes.broken_barh([(start, length)], (row - 0.3, 0.6), color=colour, alpha=0.6)
        axes.plot(start, row, "o", color=colour, markersize=6)
    axes.set(xlim=(0, data["steps"]), ylim=(row + 0.7, -0.7))


def votes() -> dict[str, list[int]]:
    """Return how many votes of each voter two peers know before they meet."""
    return {"peer A before": [6, 2, 3], "peer B before": [3, 5, 2]}


def draw_votes(figure: Figure, data: dict[str, list[int]]) -> None:
    """Draw both ledgers, and the one that both have after they met."""
    after = [max(counts) for counts in zip(*data.values(), strict=True)]
    panels = {**data, "both after": after}
    for axes, (title, counts) in zip(figure.subplots(1, 3, sharey=True), panels.items(), strict=True):
        for voter, count in enumerate(counts):
            for position in range(max(after)):
                colour = COLOURS[voter] if position < count else "none"
                edge = COLOURS[voter] if position < count else WAIT
                axes.broken_barh([(position, 0.85)], (voter - 0.4, 0.8), facecolor=colour, edgecolor=edge)
        axes.set_title(title, loc="left")
        axes.set(ylim=(2.6, -0.6), xlim=(-0.2, max(after)), xticks=[])
        axes.set_yticks(range(3), ["A's votes", "B's votes", "C's votes"])
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    figure.supxlabel("a square is a byte; its place: step x samples + sample", fontsize="small")
