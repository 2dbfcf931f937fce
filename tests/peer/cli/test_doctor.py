import json

import pytest
from typer.testing import CliRunner

from peer.cli.main import app
from peer.daemon.doctor import examine
from peer.daemon.doctor.findings import Number, Report, found, well
from peer.errors import Exit

GOOD = Report(
    (well("clock", "right"), found("dial-back", Number.BEHIND_ROUTER, "note", "no", mend="forward"))
)
BAD = Report((found("port", Number.PORT, "failure", "taken", mend="peer stop"),))


@pytest.fixture
def doctor(monkeypatch):
    """Run `peer doctor` on what an examination has found; return the outcome and the settings."""

    def run(report, *arguments):
        given = []

        async def examined(settings):
            given.append(settings)
            return report

        monkeypatch.setattr(examine, "examine", examined)
        return CliRunner().invoke(app, ["doctor", *arguments]), given

    return run


def test_a_line_for_each_finding_and_how_to_mend_it(doctor):
    done, _ = doctor(GOOD)
    assert done.exit_code == 0
    first, second, why, what, where = done.output.splitlines()
    assert first.split() == ["ok", "clock", "right"]
    assert second.split() == ["note", "204", "dial-back", "no"]
    assert why.strip().startswith("why: A router")
    assert what.strip() == "do:  forward"
    assert where.strip() == "see: peer explain 204"


def test_a_failure_is_an_exit_code(doctor):
    done, _ = doctor(BAD)
    assert done.exit_code == Exit.DOCTOR_FOUND


def test_json_for_programs(doctor):
    done, _ = doctor(BAD, "--json")
    (finding,) = json.loads(done.output)["findings"]
    assert (finding["check"], finding["number"], finding["level"]) == ("port", 105, "failure")
    assert done.exit_code == Exit.DOCTOR_FOUND


def test_options_are_those_of_a_start(doctor, tmp_path):
    address = "/ip4/192.0.2.7/tcp/4001/p2p/12D3KooW"
    _, (settings,) = doctor(
        GOOD, "--bootstrap", address, "--home", str(tmp_path), "--no-upnp", "--device", "cpu"
    )
    assert settings.bootstraps == (address,)
    assert settings.home == tmp_path
    assert (settings.upnp, settings.device) == (False, "cpu")
