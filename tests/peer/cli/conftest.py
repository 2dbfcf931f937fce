"""Homes of peers that have trained, for the commands that look at what was learned."""

import pytest

from tests.peer.models.homes import make_home, signed


@pytest.fixture(scope="session")
def swarm(tmp_path_factory):
    """A folder as `peer swarm` leaves it: three homes of one run, 8 steps each. To be read only."""
    folder = tmp_path_factory.mktemp("swarm")
    for shard in range(3):
        make_home(folder / f"peer-{shard}", signed(), shard, 8)
    (folder / "run.toml").write_text("")
    return folder
