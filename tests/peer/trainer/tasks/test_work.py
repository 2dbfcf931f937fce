"""A plug-in's task as a peer's work: trained as the built-in model is, its mistakes told in one line."""

import math

import pytest
import torch
from msgspec.structs import replace

from peer.errors import TaskError
from peer.trainer import checkpoint, spool
from peer.trainer.order import Position
from peer.trainer.replica import RefusedStateError, Replica
from peer.trainer.tasks.find import find
from peer.trainer.tasks.work import collate, rehearse
from peer.trainer.work import Places, load, load_net
from protocol.manifest import Data, Inner, Manifest, Outer
from protocol.trainer import State
from tests import plugins
from tests.peer.trainer.tasks.conftest import described
from tests.peer.trainer.tiny import train

CPU = torch.device("cpu")
ALLOWED = Places(allowed_task="shapes")
DRAFT = Manifest(
    founder=bytes(32), data=Data(shards=8), inner=Inner(batch=16, warmup=5, steps=60), outer=Outer(every=10)
)


@pytest.fixture
def manifest(wanted):
    return replace(DRAFT, task=wanted)


def test_the_task_is_trained_and_its_loss_falls(manifest):
    work = load(manifest, ALLOWED, shard=0)
    before = work.held_out_loss(), work.measure(256)["accuracy"]
    train(Replica(manifest, work, CPU), 60)
    after = work.held_out_loss(), work.measure(256)["accuracy"]
    assert after[0] < before[0] - 0.3
    assert after[1] > before[1] + 0.3


def test_every_host_begins_with_the_same_weights_and_reads_another_part(manifest):
    one, other = (load(manifest, ALLOWED, shard) for shard in (0, 1))
    weights = [torch.cat([each.flatten() for each in work.net.parameters()]) for work in (one, other)]
    assert torch.equal(*weights)
    assert one.held_out_loss() == other.held_out_loss()
    seen = [{bytes(image.numpy().tobytes()) for image in _images(work, 500)} for work in (one, other)]
    assert [len(part) for part in seen] == [500, 500]
    assert not seen[0] & seen[1]


def test_a_rank_that_computes_alone_has_the_same_model(manifest):
    for run in (manifest, DRAFT):
        whole, net = load(run, ALLOWED, 0).net, load_net(run, ALLOWED)
        assert type(net) is type(whole)
        assert all(map(torch.equal, net.parameters(), whole.parameters()))
    with pytest.raises(TaskError, match="not allowed"):
        load_net(manifest, Places())


def _images(work, count):
    batch, _ = work.feed.take(Position(), count)
    return batch[0]


def test_it_goes_on_from_a_checkpoint_bit_for_bit(manifest, tmp_path):
    straight = Replica(manifest, load(manifest, ALLOWED, 0), CPU)
    train(straight, 12)
    checkpoint.save(tmp_path / "checkpoints", bytes(32), straight.contents())
    train(straight, 12)
    again = Replica(manifest, load(manifest, ALLOWED, 0), CPU)
    again.restore(checkpoint.newest(tmp_path / "checkpoints", bytes(32)))
    train(again, 12)
    assert torch.equal(straight.theta, again.theta)


def test_evaluation_leaves_every_part_of_the_model_in_its_mode(manifest):
    work = load(manifest, ALLOWED, 0)
    work.net.inner[1].eval()
    work.held_out_loss()
    assert [part.training for part in work.net.inner] == [True, False, True]


def test_settings_make_another_model(wanted):
    wide = described("shapes", width=32)
    assert wide.layout.parameters > wanted.layout.parameters
    assert load(replace(DRAFT, task=wide), ALLOWED, 0).net.inner[0][0].out_channels == 32
    unlike = replace(DRAFT, task=replace(wanted, settings={"width": 32}))
    with pytest.raises(TaskError, match=r"trainable parameters here, .* in the manifest"):
        load(unlike, ALLOWED, 0)


def test_a_task_that_is_not_allowed_is_not_loaded(manifest):
    with pytest.raises(TaskError, match="not allowed"):
        load(manifest, Places(), 0)


@pytest.mark.parametrize(
    ("example", "kinds"),
    [
        ("torch.ones(4)", torch.float32),
        ("torch.ones(4, dtype=torch.float64)", torch.float32),
        ("(torch.ones(4), 0.5, 3)", (torch.float32, torch.float32, torch.int64)),
        ("{'x': torch.ones(4), 'y': True}", {"x": torch.float32, "y": torch.bool}),
        ("(torch.ones(4), )", (torch.float32,)),
    ],
)
def test_examples_of_many_forms_stand_side_by_side(example, kinds):
    batch = collate([eval(example)] * 5, [0, 3, 3])
    if isinstance(kinds, torch.dtype):
        assert (batch.dtype, batch.shape) == (kinds, (3, 4))
    elif isinstance(kinds, dict):
        assert {name: part.dtype for name, part in batch.items()} == kinds
    else:
        assert tuple(part.dtype for part in batch) == kinds


# ---- newcomers

ZEROS = """
from torch import nn, zeros
from peer import Task

class Line(Task):
    def model(self):
        line = nn.Linear(1, 1)
        nn.init.zeros_(line.weight)
        nn.init.zeros_(line.bias)
        return line

    def training(self):
        return [(zeros(1) + number / 100, number / 20.0 + 3) for number in range(100)]

    def held_out(self):
        return self.training()

    def loss(self, model, batch):
        return (model(batch[0])[:, 0] - batch[1]).square().mean()
"""


def test_a_newcomer_takes_over_weights_that_began_at_zero_and_no_nonsense(site, tmp_path):
    plugins.install(site, ZEROS, attribute="Line")
    manifest = replace(DRAFT, task=described("shapes"))

    def adopt(*weights):
        replica = Replica(manifest, load(manifest, ALLOWED, 0), CPU)
        file = spool.fresh(tmp_path, "state")
        spool.write_state(file, (torch.tensor(weights), torch.zeros(2)))
        replica.adopt(State(file=file.name, inner_step=10, outer_step=1, tokens=160), file)
        return replica

    assert adopt(5.0, 3.0).theta.tolist() == [5.0, 3.0]
    with pytest.raises(RefusedStateError, match="loss"):
        adopt(-20.0, 3.0)
    with pytest.raises(RefusedStateError, match="norm"):
        adopt(1e6, 3.0)


# ---- mistakes

TASK = """
import torch
from torch import nn
from peer import Task

class Shapes(Task):
    def __init__(self, size: int = 4):
        self.size = size

    def model(self):
        return nn.Linear(4, 1)

    def training(self):
        return [torch.ones(4)] * 100

    def held_out(self):
        return [torch.ones(4)]

    def loss(self, model, batch):
        return model(batch).square().mean()
"""


BROKEN = """

class Broken:
    def __len__(self):
        return 800

    def __getitem__(self, number):
        if number % 40 == 7:
            raise KeyError(number)
        return torch.ones(4)
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "import torch\n",
            "import torch, nowhere_at_all\n",
            "fails in the import of .*: ModuleNotFoundError",
        ),
        ("class Shapes(Task)", "class Other(Task)", "fails in the import of .*: AttributeError"),
        ("class Shapes(Task)", "class Shapes", "is a Shapes, and no peer.Task"),
        ("self.size = size", "1 / 0", r"fails in its making .*: ZeroDivisionError: .*plugin_\d+\.py:8\)"),
        ("    def loss(", "    def los(", "fails in its making .* abstract"),
        ("nn.Linear(4, 1)", "nn.ReLU()", "has no parameters to train"),
        ("nn.Linear(4, 1)", "'a net'", "makes a model that is no torch"),
        (
            "nn.Linear(4, 1)",
            "nn.Sequential(nn.Linear(4, 1), nn.BatchNorm1d(1))",
            "running statistics in 1.runn",
        ),
        ("* 100", "* 7", "has 7 training examples, and needs at least 8"),
        ("return [torch.ones(4)]\n", "return []\n", "has 0 held-out examples"),
        ("return [torch.ones(4)]\n", "return ['text']\n", r"fails in loss\(\): .*an example must be"),
        ("return [torch.ones(4)] * 100", "return ['text'] * 100", r"fails in an example of training\(\)"),
        (".square().mean()", ".square()", r"fails in loss\(\)"),
        (
            ".square().mean()",
            ".mean().log() * 0 / 0 if model.training else model(batch).mean()",
            "a loss of nan",
        ),
        ("model(batch).square().mean()", "torch.tensor(0.0)", r"fails in loss\(\): RuntimeError"),
    ],
)
def test_a_mistake_in_a_plug_in_is_one_line(site, old, new, said):
    assert old in TASK
    plugins.install(site, TASK.replace(old, new, 1))
    with pytest.raises(TaskError, match=said) as caught:
        rehearse(find("shapes"), DRAFT, {})
    assert "\n" not in str(caught.value)


def test_a_setting_that_the_task_does_not_take_is_one_line(site):
    plugins.install(site, TASK)
    with pytest.raises(
        TaskError, match=r"the settings \{'depth': 3\}: TypeError: .* argument 'depth'\. Mend"
    ):
        rehearse(find("shapes"), DRAFT, {"depth": 3})


def test_a_loss_may_be_below_zero(site):
    plugins.install(site, TASK.replace(".square().mean()", ".mean() - 100"))
    work = load(replace(DRAFT, task=described("shapes")), ALLOWED, 0)
    assert math.isclose(work.chance, 0.0, abs_tol=1e-9)


def test_an_example_that_fails_in_mid_run_ends_the_trainer_with_its_place(site):
    file = plugins.install(site, TASK.replace("return [torch.ones(4)] * 100", "return Broken()") + BROKEN)
    manifest = replace(DRAFT, task=described("shapes"))
    replica = Replica(manifest, load(manifest, ALLOWED, 0), CPU)
    with pytest.raises(TaskError, match=rf"an example of training\(\): KeyError: .*{file.name}:\d+\)"):
        train(replica, 10)


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        ("KeyError(3)", TaskError, r"the task shapes fails in loss\(\): KeyError: 3 \(.*\.py:\d+\)"),
        ("MemoryError('none left')", MemoryError, "none left"),
        ("RuntimeError('MPS backend out of memory')", RuntimeError, "MPS"),
        ("torch.AcceleratorError('CUDA error: an ECC error')", torch.AcceleratorError, "ECC"),
    ],
)
def test_a_loss_that_fails_in_mid_run_is_the_plug_ins_unless_memory_or_the_device_fails(
    site, raised, kind, said
):
    fails = f"if len(batch) == 16 and model.training: raise {raised}\n        return model(batch)"
    plugins.install(site, TASK.replace("return model(batch)", fails))
    manifest = replace(DRAFT, task=described("shapes"))
    replica = Replica(manifest, load(manifest, ALLOWED, 0), CPU)
    with pytest.raises(kind, match=said):
        train(replica, 1)
