"""Pictures of how it works: no measurement stands in them."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

Point = tuple[float, float]

A, B, GREY, WAIT = "#00796b", "#e65100", "#90a4ae", "#cfd8dc"


def step_then_mix() -> dict[str, list[Point]]:
    """Return where two peers stand: at first, after H inner steps, after the outer step, after the mix."""
    return {
        "A": [(0.0, 0.9), (1.6, 1.5), (2.3, 1.75), (2.55, 1.125)],
        "B": [(0.1, 0.2), (1.9, 0.4), (2.8, 0.5), (2.55, 1.125)],
    }


def draw_step_then_mix(figure: Figure, data: dict[str, list[Point]]) -> None:
    """Draw both peers' ways, and what each move is called."""
    axes = figure.subplots()
    for (name, points), colour in zip(data.items(), (A, B), strict=True):
        _arrow(axes, points[0], points[1], colour, "-")
        _arrow(axes, points[1], points[2], colour, "--")
        _arrow(axes, points[2], points[3], colour, "-", width=3)
        for point, said in zip(points[:3], ("φ", "θ", "φ'"), strict=True):
            axes.plot(*point, "o", color=colour)
            where, side = ((4, -16), "left") if name == "B" else ((-6, 9), "right")
            label = f"{said} of {name}"
            axes.annotate(label, point, where, textcoords="offset points", ha=side, color=colour)
    axes.annotate(
        "H inner steps:\nthe pseudo-gradient Δ = θ - φ", (0.75, 0.62), ha="center", fontsize="small"
    )
    step = "outer step, alone:\nφ' = φ + β(Δ + αm)"  # noqa: RUF001 - the outer momentum
    axes.annotate(step, (2.35, 2.0), ha="center", fontsize="small")
    axes.annotate(
        "mix: each adds half\nof the difference", (2.7, 1.12), ha="left", va="center", fontsize="small"
    )
    axes.set(xlim=(-0.6, 3.6), ylim=(-0.1, 2.3), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _arrow(axes: Axes, start: Point, end: Point, colour: str, style: str, *, width: float = 1.6) -> None:
    look = {
        "arrowstyle": "-|>",
        "color": colour,
        "linestyle": style,
        "linewidth": width,
        "shrinkA": 4,
        "shrinkB": 4,
    }
    axes.annotate("", end, start, arrowprops=look)


def modulo() -> dict[str, float]:
    """Return where the sender's and the receiver's value lie on a grid of step 1, sent modulo 4."""
    return {"theirs": 5.2, "ours": 6.1, "modulus": 4, "points": 13}


def draw_modulo(figure: Figure, data: dict[str, float]) -> None:
    """Draw the grid with each point's index modulo 4, the candidates, and the one that is taken."""
    axes = figure.subplots()
    modulus, index = int(data["modulus"]), round(data["theirs"])
    for point in range(int(data["points"])):
        candidate = point % modulus == index % modulus
        colour = A if point == index else B if candidate else GREY
        axes.plot(point, 0, "o", color=colour, markersize=11 if candidate else 6)
        axes.annotate(str(point % modulus), (point, -0.5), ha="center", color=colour)
    axes.plot(data["theirs"], 0.75, "v", color=A)
    axes.annotate(
        "the sender's value:\nonly its index, 1, is sent", (data["theirs"] - 0.25, 0.8), ha="right", color=A
    )
    axes.plot(data["ours"], 0.75, "v", color="#3949ab")
    text = "the receiver's own value:\nof all points with index 1,\nthe nearest is meant"
    axes.annotate(text, (data["ours"] + 0.25, 0.72), color="#3949ab")
    axes.annotate("index modulo 4", (12.5, -0.5), color=GREY)
    axes.set(xlim=(-0.5, 15.2), ylim=(-0.9, 2.0), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def barrier() -> dict[str, list[float]]:
    """Return the seconds of each outer step of three peers; the last is slow, and once much slower."""
    return {"A": [1.0, 1.0, 1.0, 1.0, 1.0, 1.0], "B": [1.2, 1.2, 1.2, 1.2, 1.2], "C": [1.5, 1.5, 2.6, 1.5]}


def draw_barrier(figure: Figure, data: dict[str, list[float]]) -> None:
    """Draw who trains and who waits, with a barrier and without."""
    upper, lower = figure.subplots(2, 1, sharex=True)
    start = 0.0
    for round_ in range(3):
        length = max(steps[round_] for steps in data.values())
        for row, steps in enumerate(data.values()):
            upper.broken_barh(
                [(start, steps[round_])], (row - 0.35, 0.7), color=(A, B, "#3949ab")[row], alpha=0.8
            )
            waits = (start + steps[round_], length - steps[round_])
            upper.broken_barh([waits], (row - 0.35, 0.7), color=WAIT)
        start += length
        upper.axvline(start, color="black", linewidth=1)
    upper.set_title("a barrier: every round lasts as long as its slowest peer; grey is waiting", loc="left")
    lower.set_title("pairs: everybody trains on; a line joins two that exchange", loc="left")
    _draw_pairs(lower, data, start)
    for axes in (upper, lower):
        axes.set_yticks(range(3), list(data))
        axes.set_xlim(0, start)
    lower.set_xlabel("time")
    lower.set_xticks([])


def _draw_pairs(axes: Axes, data: dict[str, list[float]], end: float) -> None:
    for row, steps in enumerate(data.values()):
        time, count = 0.0, 0
        while time < end:
            length = steps[min(count, len(steps) - 1)]
            axes.broken_barh(
                [(time, length - 0.04)], (row - 0.35, 0.7), color=(A, B, "#3949ab")[row], alpha=0.8
            )
            time, count = time + length, count + 1
            partner = (row + 1 + count % 2) % 3
            if time < end:
                axes.plot([time, time + 0.1], [row, partner], color="black", linewidth=1.2)
                axes.plot(time, row, "o", color="black", markersize=4)
