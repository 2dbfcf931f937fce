"""Which runs a plan can be made of."""

import pytest
from msgspec.structs import replace

from peer.errors import UsageError
from peer.plan.run import question_of
from protocol.manifest import Manifest, Model, Outer
from tests.protocol.test_foreign import BASE, TASK

RUN = Manifest(founder=bytes(32))


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (replace(RUN, task=TASK), "a plug-in's task"),
        (replace(RUN, model=Model(pretrained=BASE)), "tuning a base model"),
        (replace(RUN, outer=Outer(preset="onebyte")), "onebyte"),
    ],
)
def test_what_no_law_speaks_of_is_refused(run, said):
    with pytest.raises(UsageError, match=said):
        question_of(run, 2)


def test_a_run_is_planned_until_its_last_step():
    found = question_of(RUN, 2)
    assert found.tokens == 2 * RUN.inner.batch * RUN.model.context * RUN.inner.steps
