"""Faults as data: a member of a group is killed or cut off, in each phase and in each role."""

import pytest

from peer.simulate.flock import Flock
from peer.simulate.learner import ToyLearner
from peer.swarm.gathering import Gathering
from peer.swarm.leading import Leading
from peer.swarm.reduction import Reduction
from tests.peer.swarm.groups import Chronicle, fly, hatch, leftovers, strict

pytestmark = pytest.mark.anyio

STEPS = 5
STRIKES_AT = 2

PHASES = {
    "ready": (Gathering, "begin"),
    "invited": (Gathering, "join"),
    "inviting": (Gathering, "turn"),
    "formed": (Reduction, "run"),
    "splits": (ToyLearner, "split"),
    "serves a part": (Reduction, "serve_part"),
    "pulls a part": (Reduction, "_collect"),
    "averages": (ToyLearner, "reduce"),
    "announces": (Reduction, "_tell_leader"),
    "pulls an average": (Reduction, "_pull_average"),
    "commits": (Leading, "_end"),
    "has heard of the commit": (Reduction, "_acknowledge"),
    "lands": (ToyLearner, "assemble"),
}
"""What the peer is just about to do when it is struck."""

NONE = {("invited", "leader"), ("commits", "member"), ("has heard of the commit", "leader")}
"""Roles that have no such phase."""


class Blow:
    """Strikes one bird when it enters a phase of its outer step `STRIKES_AT` or later, once."""

    def __init__(self, monkeypatch, kind, name, strike):
        self._victim = None
        self.fell = False
        original = getattr(kind, name)

        def struck(this, *arguments, **options):
            if not self.fell and self._victim is not None and self._is_of_victim(this):
                self.fell = True
                strike(self._victim)
            return original(this, *arguments, **options)

        monkeypatch.setattr(kind, name, struck)

    def aim(self, bird) -> None:
        self._victim = bird

    def _is_of_victim(self, this):
        bird = self._victim
        if bird.learner.outer_step < STRIKES_AT:
            return False
        if isinstance(this, ToyLearner):
            return this is bird.learner
        if isinstance(this, Gathering):
            return this.own_id == bird.identity.peer_id
        group = this.group
        return group.members[group.own] == bird.identity.peer_id


@pytest.mark.parametrize("end", ["kill", "freeze"])
@pytest.mark.parametrize(
    ("phase", "role"),
    [(phase, role) for phase in PHASES for role in ("leader", "member") if (phase, role) not in NONE],
)
async def test_the_others_end_alike_and_go_on(tmp_path, monkeypatch, phase, role, end):
    chronicle = Chronicle(monkeypatch)
    flock = Flock(tmp_path, strict)
    blow = Blow(monkeypatch, *PHASES[phase], getattr(flock, end))
    birds = sorted(hatch(flock, 4, waits=True, outer_steps=STEPS), key=lambda bird: bird.identity.peer_id)
    victim = birds[0] if role == "leader" else birds[2]
    others = [bird for bird in birds if bird is not victim]
    blow.aim(victim)
    took = await fly(birds, 150, until=others)
    assert took < 30
    assert blow.fell
    chronicle.check(others)
    for bird in others:
        assert bird.learner.outer_step == STEPS, "nobody hangs"
        assert bird.learner.mixes + bird.learner.skips == STEPS
        assert bird.learner.skips <= 2
        assert not leftovers(bird)
    assert len({bird.learner.value for bird in others}) == 1, "all are together again"
