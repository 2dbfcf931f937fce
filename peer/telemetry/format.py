"""Numbers and names as a person reads them: 1.2 MB, 0.8 s, 12D3..aB3f."""

_BYTE_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")


def format_bytes(count: float) -> str:
    """Write a number of bytes with two digits or more, in powers of 1000, as network rates are."""
    if count < 1000:
        return f"{count:.0f} B"
    value = float(count)
    for unit in _BYTE_UNITS:
        value /= 1000
        # 999.95 would be printed as 1000.0: it belongs to the next unit.
        if value < 999.95 or unit == _BYTE_UNITS[-1]:
            break
    return f"{value:.1f} {unit}"


def format_seconds(seconds: float) -> str:
    """Write a duration to about two digits: 12 ms, 0.8 s, 2 min 5 s, 3 h 20 min, 2 d 4 h."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


BAR = 24
"""Characters of a progress bar."""


def progress_line(done: float, total: float, rate: float, seconds_left: float | None) -> str:
    """Write how far a transfer of `total` bytes is: a bar, the share, the bytes, the rate, the time left."""
    share = min(done / total, 1.0)
    full = int(BAR * share)
    left = "no byte lately" if seconds_left is None else f"{format_seconds(seconds_left)} left"
    amount = f"{format_bytes(done)} of {format_bytes(total)}"
    return f"{'#' * full}{'-' * (BAR - full)} {share:.0%}, {amount}, {format_bytes(rate)}/s, {left}"


def format_loss(loss: float, task: str | None) -> str:
    """Write a training loss with its unit; a plug-in's task has one of its own, which nobody knows."""
    return f"{loss:.3f}" if task else f"{loss:.3f} nats a token"


def counted(task: str | None) -> str:
    """Name what is counted as tokens."""
    return "examples" if task else "tokens"


def short_peer(peer_id: str) -> str:
    """Write a PeerID short enough for a line; its end tells peers apart, all begin alike."""
    return peer_id if len(peer_id) <= 12 else f"{peer_id[:4]}..{peer_id[-4:]}"


def printable(text: str) -> str:
    """Replace what could move a terminal's cursor or start a second line: a stranger may have sent it."""
    return "".join(char if char.isprintable() else "?" for char in text)


def unused_in_words(device: str) -> str:
    """Say that a GPU is here, and which `--device` takes it."""
    return f"this Mac has a GPU: --device {device}"
