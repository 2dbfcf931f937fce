import pytest

from peer.trainer.tasks.find import find
from peer.trainer.tasks.work import rehearse
from protocol.foreign import Task
from protocol.manifest import Manifest
from tests import plugins


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder in which plug-ins are installed."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def wanted(site):
    """The example's task, as the manifest of a run names it; it is installed."""
    plugins.install(site)
    return described("shapes")


def described(name, **settings):
    """What a founder finds of an installed task."""
    plugin = find(name)
    layout = rehearse(plugin, Manifest(founder=bytes(32)), settings)
    return Task(
        name=name,
        package=plugin.package,
        version=plugin.version,
        source=plugin.source,
        settings=settings,
        layout=layout,
    )
