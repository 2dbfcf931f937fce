"""`peer plan --check`: reads what a home measured, and sets the plan of its run beside it."""

import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from peer.daemon.client import ControlClient
from peer.daemon.history_file import read_history
from peer.daemon.home import look_into
from peer.daemon.last_status import read_last_status
from peer.daemon.power import read_power
from peer.daemon.runtime import control_socket
from peer.errors import NothingMeasuredError, NotRunningError
from peer.governor.sensors.base import SensorGoneError
from peer.paths import expand
from peer.plan.check import Drawn, as_text, check
from peer.plan.measured import Measured, measure
from peer.plan.plot import draw_check
from peer.plan.question import Link, Power
from peer.plan.reckon import reckon
from peer.plan.run import choice_of, question_of
from peer.telemetry.event_file import read_events
from peer.telemetry.history import History, Points
from protocol.control import Detail, Status
from protocol.manifest import Manifest, open_manifest


def show_check(
    path: Path, peers: int | None, power: Power | None, link: Link | None, plot: Path | None, *, as_json: bool
) -> None:
    """Print the plan of a home's run beside what the home measured, whether its daemon runs or not.

    Raises:
        NothingMeasuredError: the home holds no measurement, or no loss to draw.
        UsageError: the picture cannot be drawn.
    """
    home = expand(path)
    manifest, measured = _read(home)
    now = _ask(home)
    status = now.status if isinstance(now, Detail) else now
    known = peers or measured.peers
    a_step = float(manifest.inner.batch * manifest.model.context * known)
    question = question_of(manifest, known, tokens=measured.last_step * a_step, power=power, link=link)
    choice = choice_of(manifest)
    loss = status.loss if status else None
    found = check(question, choice, reckon(question, choice), measured, loss, _drawn(home, now))
    print(msgspec.json.encode(found).decode() if as_json else as_text(found), file=sys.stdout)
    if plot is not None:
        losses = now.losses if isinstance(now, Detail) else _kept(home)
        if not losses:
            raise NothingMeasuredError(
                f"{home} has no loss to draw yet", "Let its peer train a little longer"
            )
        draw_check(question, choice, [(step * a_step, loss) for step, loss in losses], plot)
        print(f"{plot} drawn", file=sys.stderr)


def _read(home: Path) -> tuple[Manifest, Measured]:
    sealed = look_into(home)
    measured = measure(read_events(home / "events.log"))
    if sealed is None or measured is None:
        raise NothingMeasuredError(
            f"{home} holds no measurement of a run",
            "Name the home of a peer that has trained, such as .../peer-0",
        )
    return open_manifest(sealed), measured


def _ask(home: Path) -> Detail | Status | None:
    """Return all that a running daemon tells, or what one that has ended said last."""
    with suppress(NotRunningError), ControlClient(control_socket(home)) as client:
        return client.detail()
    return read_last_status(home)


def _drawn(home: Path, now: Detail | Status | None) -> Drawn:
    """Look at what the device draws: once, while the peer trains, as no home remembers it."""
    if not isinstance(now, Detail):
        return Drawn(None, "not measured: that needs a peer that trains meanwhile")
    if now.status.pause is not None or not now.seconds_per_step:
        return Drawn(None, f"not measured: the peer is {now.status.state}")
    try:
        watts = read_power(home)
    except SensorGoneError as error:
        return Drawn(None, f"not measured: {error}")
    return Drawn(
        watts, f"at the {watts:.0f} W that {now.status.device} draws now, without the rest of the machine"
    )


def _kept(home: Path) -> Points:
    """Return the loss curve of a peer that does not run, as of its last checkpoint."""
    history = History()
    read_history(home, history)
    return history.points()
