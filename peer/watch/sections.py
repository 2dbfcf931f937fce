"""The parts of the screen. Each returns lines that fit a width and a height, its title first."""

import textwrap
from datetime import datetime

from rich.text import Text

from peer.telemetry.format import counted, format_bytes, format_loss, format_seconds, short_peer
from peer.telemetry.log import text_line
from peer.watch.chart import curve, limits
from peer.watch.health import Level, health
from peer.watch.lines import Glyphs, bar, fit, line, row, title
from peer.watch.seen import Seen
from protocol.control import Exchanged, Link, Transfer

NONE = "-"

MARKS = {Level.BAD: ("!!", "bold red"), Level.WATCH: ("! ", "yellow"), Level.WELL: ("ok", "green")}
"""In words too: colours alone say nothing in monochrome."""


def header(seen: Seen, width: int, glyphs: Glyphs) -> Text:
    """Return the first line: who, in which run, in what state, since when."""
    detail, status = seen.detail, seen.detail.status
    clock = datetime.fromtimestamp(detail.time).astimezone().strftime("%H:%M:%S")
    right = f" up {format_seconds(detail.uptime)}  {clock}"
    left = f" {short_peer(status.peer_id)} in {status.run_name}: {status.preset}, {status.codec}"
    state = f" {status.state.upper()} "
    drawn = line(fit(state, min(len(state), width), glyphs), min(len(state), width), glyphs, "bold reverse")
    rest = max(width - len(drawn), 0)
    drawn.append(fit(left, max(rest - len(right), 0), glyphs), style="bold not reverse")
    return drawn.append(fit(right, min(len(right), rest), glyphs, right=True), style="not bold not reverse")


def loss(seen: Seen, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """Draw the training loss over the whole run."""
    now, points = seen.detail.status.loss, seen.detail.losses
    head = "loss" if now is None else f"loss {format_loss(now, seen.detail.status.task)}"
    lines = [title(head, width, glyphs)]
    if len(points) < 2:
        return [*lines, line("no loss yet", width, glyphs, "dim")]
    low, high = limits(points)
    edge = max(len(f"{value:.3f}") for value in (low, high)) + 1
    rows = max(height - 2, 1)
    labels = {0: f"{high:.3f}", rows - 1: f"{low:.3f}"}
    for at, drawn in enumerate(curve(points, width - edge, rows, ascii_only=glyphs.ascii_only)):
        label = fit(labels.get(at, ""), edge - 1, glyphs, right=True)
        lines.append(Text(f"{label} ", style="dim", no_wrap=True, end="").append(drawn, style="not dim cyan"))
    first, last = f"step {points[0][0]:,}", f"{points[-1][0]:,}"
    axis = fit(first, max(width - edge - len(last), 0), glyphs) + last
    return [*lines, line(" " * edge + axis, width, glyphs, "dim")]


def pace(seen: Seen, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """Say how fast it trains, and how far it is."""
    detail, status = seen.detail, seen.detail.status
    step = detail.seconds_per_step
    inside = status.inner_step % detail.every
    soon = NONE if detail.next_boundary is None else f"in {format_seconds(detail.next_boundary)}"
    rows = {
        "inner step": f"{status.inner_step:,}" + ("" if step is None else f", each {format_seconds(step)}"),
        "outer step": f"{status.outer_step:,}, every {detail.every:,}",
        "next one": f"{soon} {bar(inside / detail.every, max(width - 24, 0), glyphs)}",
        "speed": f"{status.tokens_per_second:,.0f} {counted(status.task)}/s",
        counted(status.task): f"{status.tokens:,}",
        "learn rate": NONE if detail.learning_rate is None else f"{detail.learning_rate:.2e}",
        "traffic": f"{format_bytes(status.bytes_in)} in, {format_bytes(status.bytes_out)} out",
    }
    lines = [title("pace", width, glyphs)]
    for name, words in list(rows.items())[: height - 1]:
        drawn = line(name, 11, glyphs, "dim")
        lines.append(drawn.append(fit(words, width - 11, glyphs), style="not dim"))
    return lines


def well(seen: Seen, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """Say what is well and what is not, the worst first."""
    lines = [title("health", width, glyphs)]
    for finding in health(seen):
        mark, style = MARKS[finding.level]
        wrapped = textwrap.wrap(finding.words, max(width - 3, 1)) or [""]
        for at, part in enumerate(wrapped):
            drawn = line(mark if at == 0 else "", 3, glyphs, style)
            plain = "not bold default" if finding.level is Level.WELL else style
            lines.append(drawn.append(fit(part, width - 3, glyphs), style=plain))
    return lines[:height]


def exchanges(seen: Seen, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """List the last exchanges, the newest first."""
    detail, status = seen.detail, seen.detail.status
    counts = f"{status.exchanges:,} exchanged, {detail.failed:,} failed, {status.skips:,} skipped"
    lines = [title(counts, width, glyphs)]
    if not detail.recent:
        return [*lines, line("none yet", width, glyphs, "dim")]
    spare = max(width - 41, 4)
    widths = (min(max(spare, 10), 14), 8, 7, 8, 7)
    names = ("partner", "ago", "took", "size", "apart")
    lines.append(line(row(list(zip(names, widths, strict=True)), glyphs), width, glyphs, "dim"))
    newest_first = list(reversed(detail.recent))[: height - 2]
    return lines + [_exchange(each, detail.time, widths, width, glyphs) for each in newest_first]


def _exchange(told: Exchanged, now: float, widths: tuple[int, ...], width: int, glyphs: Glyphs) -> Text:
    ago = format_seconds(max(now - told.time, 0.0))
    who = [(short_peer(told.partner), widths[0]), (ago, widths[1])]
    if told.result != "done":
        start = row(who, glyphs)
        return line(f"{start} {told.result}: {told.reason}", width, glyphs, "yellow")
    apart = NONE if told.relative_distance is None else f"{told.relative_distance:.2%}"
    size = format_bytes(told.bytes_in + told.bytes_out)
    rest = zip((format_seconds(told.seconds), size, apart), widths[2:], strict=True)
    return line(row([*who, *rest], glyphs), width, glyphs)


def links(seen: Seen, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """List the peers in view, and how each is connected."""
    known, status = seen.detail.links, seen.detail.status
    lines = [title(f"peers: {status.peers_in_view} in view", width, glyphs)]
    if not known:
        return [*lines, line("none", width, glyphs, "dim")]
    widths = (min(max(width - 34, 10), 14), 9, 7, 7, 7)
    names = ("peer", "way", "in/s", "out/s", "trip")
    lines.append(line(row(list(zip(names, widths, strict=True)), glyphs), width, glyphs, "dim"))
    room = height - 2
    shown = known if status.peers_in_view <= room else known[: max(room - 1, 0)]
    lines += [_link(link, widths, width, glyphs) for link in shown]
    if len(shown) < status.peers_in_view:
        lines.append(line(f"and {status.peers_in_view - len(shown)} more", width, glyphs, "dim"))
    return lines[:height]


def _link(link: Link, widths: tuple[int, ...], width: int, glyphs: Glyphs) -> Text:
    way = NONE if link.way == "none" else link.way
    cells = (
        short_peer(link.peer),
        f"{way}+{link.lanes}" if link.lanes else way,
        *(NONE if rate is None else _rate(rate) for rate in (link.rate_in, link.rate_out)),
        NONE if link.round_trip is None else format_seconds(link.round_trip),
    )
    style = "yellow" if link.avoided or link.way == "relayed" else ""
    return line(row(list(zip(cells, widths, strict=True)), glyphs), width, glyphs, style)


def _rate(rate: float) -> str:
    return format_bytes(rate).replace(".0 ", " ") if rate >= 100e6 else format_bytes(rate)


def transfers(seen: Seen, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """Show what is on its way, with progress."""
    lines = [title("transfers", width, glyphs)]
    under_way = seen.detail.transfers
    if not under_way:
        return [*lines, line("nothing is on its way", width, glyphs, "dim")]
    return lines + [_transfer(each, width, glyphs) for each in under_way[: height - 1]]


def _transfer(told: Transfer, width: int, glyphs: Glyphs) -> Text:
    share = told.moved / told.size if told.size else 0.0
    rate = f"{format_bytes(told.moved / told.seconds)}/s" if told.seconds > 0 else NONE
    arrow = glyphs.going if told.outward else glyphs.coming
    done = f"{bar(share, max(width - 29, 0), glyphs)} {share:>4.0%} {rate:>10}"
    return line(f"{arrow} {fit(short_peer(told.peer), 10, glyphs)} {done}", width, glyphs)


def events(seen: Seen, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """Tell the last events, the newest last."""
    lines = [title("events", width, glyphs)]
    told = seen.events[-(height - 1) :] if height > 1 else ()
    if not told:
        return [*lines, line("none", width, glyphs, "dim")]
    return lines + [line(text_line(event), width, glyphs) for event in told]
