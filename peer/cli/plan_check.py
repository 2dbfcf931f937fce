"""`peer plan --check`: reads what a home measured, and sets the plan of its run beside it."""

import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from peer.daemon.client import ControlClient
from peer.daemon.home import look_into
from peer.daemon.last_status import read_last_status
from peer.daemon.runtime import control_socket
from peer.errors import NothingMeasuredError, NotRunningError
from peer.paths import expand
from peer.plan.check import as_text, check
from peer.plan.measured import Measured, measure
from peer.plan.question import Link, Power
from peer.plan.reckon import reckon
from peer.plan.run import choice_of, question_of
from peer.telemetry.event_file import read_events
from protocol.control import Status
from protocol.manifest import Manifest, open_manifest


def show_check(
    path: Path, peers: int | None, power: Power | None, link: Link | None, *, as_json: bool
) -> None:
    """Print the plan of a home's run beside what the home measured, whether its daemon runs or not.

    Raises:
        NothingMeasuredError: the home holds no measurement.
    """
    home = expand(path)
    manifest, measured = _read(home)
    status = _status(home)
    known = peers or measured.peers
    trained = float(measured.last_step * manifest.inner.batch * manifest.model.context * known)
    question = question_of(manifest, known, tokens=trained, power=power, link=link)
    choice = choice_of(manifest)
    found = check(question, choice, reckon(question, choice), measured, status.loss if status else None)
    print(msgspec.json.encode(found).decode() if as_json else as_text(found), file=sys.stdout)


def _read(home: Path) -> tuple[Manifest, Measured]:
    sealed = look_into(home)
    measured = measure(read_events(home / "events.log"))
    if sealed is None or measured is None:
        raise NothingMeasuredError(
            f"{home} holds no measurement of a run",
            "Name the home of a peer that has trained, such as .../peer-0",
        )
    return open_manifest(sealed), measured


def _status(home: Path) -> Status | None:
    with suppress(NotRunningError), ControlClient(control_socket(home)) as client:
        return client.status()
    return read_last_status(home)
