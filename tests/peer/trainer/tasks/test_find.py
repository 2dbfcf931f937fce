"""Which task is installed, and whether it is the run's and may run: all before anything of it is imported."""

import shutil
import sys

import pytest
from msgspec.structs import replace

from peer.errors import Exit, TaskError
from peer.trainer.tasks.find import find, find_for
from protocol.foreign import Task
from protocol.layout import Layout
from tests import plugins

LOUD = "raise RuntimeError('imported')\n"


@pytest.fixture
def loud(site):
    """A task that fails when it is imported, and the manifest's entry for it."""
    plugins.install(site, LOUD)
    here = find("shapes")
    return Task(name="shapes", package=here.package, version="1.0", source=here.source, layout=Layout())


def test_a_task_is_known_by_its_package_version_and_source(site):
    file = plugins.install(site, LOUD, package="Murmuration_Shapes", version="1.0+local")
    here = find("shapes")
    assert (here.package, here.version) == ("murmuration-shapes", "1.0+local")
    assert here.source == find("shapes").source
    assert file.stem not in sys.modules
    file.write_text(LOUD + "# a remark\n")
    assert find("shapes").source != here.source


def test_the_source_of_a_package_is_all_its_python_files(site):
    plugins.install(site, module="shapely_plugin", attribute="Shapes")
    (site / "shapely_plugin.py").unlink()
    folder = site / "shapely_plugin"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text(LOUD)
    (folder / "deep" / "data.py").write_text("A = 1")
    before = find("shapes").source
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "data.pyc").write_bytes(b"compiled")
    assert find("shapes").source == before
    shutil.move(folder / "deep" / "data.py", folder / "deep" / "other.py")
    assert find("shapes").source != before


def test_what_is_not_installed_is_told_with_what_is(site):
    plugins.install(site)
    with pytest.raises(
        TaskError, match=r"no task sums is installed here \(installed: .*shapes.*\)"
    ) as caught:
        find("sums")
    assert caught.value.code == Exit.TASK_INVALID


def test_two_packages_with_one_name_are_refused(site):
    plugins.install(site)
    plugins.install(site, package="other-shapes")
    with pytest.raises(TaskError, match="murmuration-shapes and other-shapes bring a task shapes each"):
        find("shapes")


def test_a_package_that_is_on_the_path_twice_is_one(site, monkeypatch):
    plugins.install(site, module="shapes_twice")
    plugins.install(site / "again", module="shapes_twice")
    monkeypatch.syspath_prepend(site / "again")
    assert find("shapes").version == "1.0"


def test_a_plug_in_without_its_module_or_with_a_strange_version_is_refused(site):
    plugins.install(site).unlink()
    with pytest.raises(TaskError, match="which is not here"):
        find("shapes")
    plugins.install(site, name="odd", package="odd", version="one point nought")
    with pytest.raises(TaskError, match="version is 'one point nought'"):
        find("odd")


# ---- the manifest's task


def test_the_runs_task_is_found_where_it_is_allowed(loud):
    assert find_for(loud, "shapes").source == loud.source


@pytest.mark.parametrize("allowed", [None, "sums"])
def test_what_nobody_has_allowed_is_refused_before_all_else(loud, allowed):
    with pytest.raises(TaskError, match=r"which you have not allowed to run here.*--task shapes$"):
        find_for(loud, allowed)


def test_what_is_allowed_and_not_installed_is_named_with_its_package(loud):
    elsewhere = replace(loud, name="sums", package="murmuration-sums", version="2.0")
    with pytest.raises(
        TaskError, match=r"sums is not installed here\. Install murmuration-sums 2\.0, if you"
    ):
        find_for(elsewhere, "sums")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "1.1"}, r"task\.version: 1\.0 here, 1\.1 in the manifest"),
        ({"package": "other"}, r"task\.package: murmuration-shapes here, other in the manifest"),
        ({"source": bytes(32)}, r"task\.source: [0-9a-f]{12} here, 000000000000 in the manifest"),
    ],
)
def test_another_plug_in_than_the_runs_is_refused_with_the_field_named(loud, change, said):
    with pytest.raises(TaskError, match=said):
        find_for(replace(loud, **change), "shapes")
