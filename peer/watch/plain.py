"""The plain mode, for screen readers and pipes: a line when something changes, and nothing ever moves."""

from collections.abc import Iterator

from peer.telemetry.format import counted, format_bytes, format_loss, format_seconds, printable, short_peer
from peer.telemetry.log import text_line
from peer.watch.health import Level, health
from peer.watch.seen import Seen
from protocol.control import Exchanged, Link, Transfer

PROGRESS = 15.0
"""Seconds between two lines that say how training goes, where nothing else tells."""

FIRST_EVENTS = 5
FIRST_EXCHANGES = 3

POINTS = 5
"""Of the loss over the whole run: somebody listens to them."""


class Plain:
    """Turns looks into lines."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._state = ""
        self._step = -1
        self._progress_at = 0.0

    def lines(self, seen: Seen) -> list[str]:
        """Return what is new since the last look; at first, how everything stands."""
        if not self._state:
            found = summary(seen)
            self._note_progress(seen)
        else:
            found = [text_line(event) for event in seen.fresh]
            found += self._changes(seen)
            found += self._progress(seen)
        self._state = seen.detail.status.state
        self._said = set(_complaints(seen))
        return [printable(line) for line in found]

    def _changes(self, seen: Seen) -> Iterator[str]:
        if seen.detail.status.state != self._state:
            yield f"state: {seen.detail.status.state}"
        complaints = _complaints(seen)
        for topic, words in complaints.items():
            if topic not in self._said:
                yield f"attention: {words}"
        for topic in sorted(self._said - complaints.keys()):
            yield f"no longer: {topic}"

    def _progress(self, seen: Seen) -> Iterator[str]:
        detail = seen.detail
        if detail.time - self._progress_at >= PROGRESS and detail.status.inner_step != self._step:
            self._note_progress(seen)
            yield _progress(seen)
            yield from map(_transfer, detail.transfers)

    def _note_progress(self, seen: Seen) -> None:
        self._progress_at, self._step = seen.detail.time, seen.detail.status.inner_step


def summary(seen: Seen) -> list[str]:
    """Say how everything stands, section by section."""
    detail, status = seen.detail, seen.detail.status
    lines = [
        f"peer {status.peer_id}, in run {status.run_name}: {status.preset}, {status.codec}",
        f"state: {status.state}, for {format_seconds(detail.uptime)}",
        _progress(seen),
        f"{status.exchanges} exchanges, {detail.failed} failed, {status.skips} skipped",
    ]
    lines += _course(seen)
    lines += [f"{_LEVELS[finding.level]}: {finding.words}" for finding in health(seen)]
    lines += [_link(link) for link in detail.links]
    lines += [_exchange(each, detail.time) for each in reversed(detail.recent[-FIRST_EXCHANGES:])]
    lines += [_transfer(each) for each in detail.transfers]
    lines += [text_line(event) for event in seen.events[-FIRST_EVENTS:]]
    return [printable(line) for line in lines]


_LEVELS = {Level.BAD: "bad", Level.WATCH: "attention", Level.WELL: "well"}


def _progress(seen: Seen) -> str:
    detail, status = seen.detail, seen.detail.status
    parts = [f"step {status.inner_step:,}"]
    if status.loss is not None:
        parts.append(f"loss {format_loss(status.loss, status.task)}")
    parts.append(f"{status.tokens_per_second:,.0f} {counted(status.task)} a second")
    if detail.next_boundary is not None:
        parts.append(f"next outer step in {format_seconds(detail.next_boundary)}")
    return ", ".join(parts)


def _course(seen: Seen) -> list[str]:
    """Say how the loss has come down, where a curve would show it: at a few steps, as far apart as may be."""
    points = seen.detail.losses
    if len(points) < 2:
        return []
    few = min(POINTS, len(points))
    (step, loss), *rest = (points[at * (len(points) - 1) // (few - 1)] for at in range(few))
    later = (f"{loss:.3f} at {step:,}" for step, loss in rest)
    return [", ".join([f"loss {loss:.3f} at step {step:,}", *later])]


def _exchange(told: Exchanged, now: float) -> str:
    ago = format_seconds(max(now - told.time, 0.0))
    said = f"exchange with {short_peer(told.partner)} {ago} ago"
    if told.result != "done":
        return f"{said}: {told.result}, {told.reason}"
    parts = [f"took {format_seconds(told.seconds)}", format_bytes(told.bytes_in + told.bytes_out)]
    if told.relative_distance is not None:
        parts.append(f"{told.relative_distance:.2%} apart")
    return f"{said}: {', '.join(parts)}"


def _transfer(told: Transfer) -> str:
    way = "sending to" if told.outward else "receiving from"
    share = told.moved / told.size if told.size else 0.0
    rate = f", {format_bytes(told.moved / told.seconds)}/s" if told.seconds > 0 else ""
    return f"{way} {short_peer(told.peer)}: {share:.0%} of {format_bytes(told.size)}{rate}"


def _link(link: Link) -> str:
    way = "not connected" if link.way == "none" else link.way
    parts = [f"peer {short_peer(link.peer)}: {way}"]
    if link.lanes:
        parts.append(f"{link.lanes} lanes")
    for name, rate in (("in", link.rate_in), ("out", link.rate_out)):
        if rate is not None:
            parts.append(f"{format_bytes(rate)}/s {name}")
    if link.round_trip is not None:
        parts.append(f"round trip {format_seconds(link.round_trip)}")
    return ", ".join(parts)


def _complaints(seen: Seen) -> dict[str, str]:
    """Return what is not well, by its topic."""
    return {finding.topic: finding.words for finding in health(seen) if finding.level is not Level.WELL}
