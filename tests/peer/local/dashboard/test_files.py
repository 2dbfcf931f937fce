"""The folder that the programs are started on."""

import json
import shutil
import subprocess

import pytest

from peer.errors import Exit, HomeError
from peer.local.dashboard.files import prepare
from peer.local.dashboard.targets import TargetsFile, local_targets


def test_rules_boards_and_provisioning_are_there(tmp_path):
    folder = tmp_path / "new"
    prepare(folder)
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "prometheus.yml",
        "rules/alerts.yml",
        "rules/recording.yml",
        "dashboards/peer.json",
        "dashboards/swarm.json",
        "provisioning/dashboards/murmuration.yml",
        "provisioning/datasources/prometheus.yml",
    }


def test_prometheus_takes_the_configuration(tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (apt install prometheus)")
    prepare(tmp_path)
    TargetsFile(tmp_path / "targets.json").write(["127.0.0.1:9464"])
    command = [promtool, "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_was_remembered_stays(tmp_path):
    prepare(tmp_path)
    kept = tmp_path / "prometheus-data" / "wal"
    kept.touch()
    prepare(tmp_path)
    assert kept.exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(HomeError) as caught:
        prepare(tmp_path / "file" / "below")
    assert caught.value.code == Exit.HOME_UNUSABLE


def test_targets_are_written_when_they_change(tmp_path):
    file = TargetsFile(tmp_path / "targets.json")
    assert [file.write(each) for each in ([], ["a:1"], ["a:1"], ["a:1", "b:2"])] == [True, True, False, True]
    assert json.loads((tmp_path / "targets.json").read_text()) == [{"targets": ["a:1", "b:2"]}]


def test_a_daemon_that_has_died_is_no_target(tmp_path):
    (tmp_path / "control.sock").touch()
    assert local_targets(lambda: [tmp_path / "control.sock", tmp_path / "gone"]) == []
