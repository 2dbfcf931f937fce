"""A plug-in's task, installed and trained by two real peers; who lacks it, or has another, is refused."""

import pytest
import torch

from peer import Peer, Run
from peer.errors import TaskError
from peer.telemetry.events import ExchangeDone
from tests import plugins

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

RUN = {
    "name": "shapes",
    "codecs": ["fp32"],
    "inner": {"batch": 16, "steps": 200, "learning_rate": 3e-3, "warmup": 20},
    "outer": {"every": 100},
    "task": {"name": "shapes", "settings": {"width": 8}},
}
OPTIONS = {"listen": "/ip4/127.0.0.1/tcp/0", "metrics_port": 0, "threads": 1}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Say what is installed from now on, here and in the processes that are started."""

    def installed(version):
        plugins.install(tmp_path / version, version=version, module="plugin_of_processes")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / version))
        monkeypatch.syspath_prepend(tmp_path / version)

    return installed


def test_two_peers_train_a_plug_ins_task_and_refuse_who_has_another(installed, tmp_path):
    installed("1.0")
    with Peer(Run(**RUN), home=tmp_path / "first", **OPTIONS) as first:
        address = first.address
        with pytest.raises(
            TaskError, match=r"murmuration-shapes 1\.0, which you have not allowed to run here"
        ):
            Peer(home=tmp_path / "cautious", bootstrap=address, **OPTIONS).start()
        with Peer(home=tmp_path / "second", bootstrap=address, task="shapes", **OPTIONS) as second:
            next(second.events(ExchangeDone, follow=True))
            assert second.status().task == "shapes"
            installed("1.1")
            with pytest.raises(TaskError, match=r"task\.version: 1\.1 here, 1\.0 in the manifest"):
                Peer(home=tmp_path / "newer", bootstrap=address, task="shapes", **OPTIONS).start()
            second.wait(step=200, timeout=60)
    installed("1.0")
    torch.set_num_threads(1)
    told = first.evaluate(others=[second])
    assert [one.name for one in told.models] == ["first", "second", "their average"]
    assert all(one.loss < 0.8 and one.measures["accuracy"] > 0.6 for one in told.models)
