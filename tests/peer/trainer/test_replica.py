from pathlib import Path

import pytest
import torch

from peer.codec.registry import get
from peer.errors import TrainerError
from peer.outer import mix
from peer.trainer import checkpoint, data, spool
from peer.trainer.checkpoint import Counters
from peer.trainer.inner import adamw, learning_rate
from peer.trainer.model import build
from peer.trainer.order import Order, Position
from peer.trainer.replica import RefusedStateError, Replica
from protocol.manifest import Manifest
from protocol.trainer import State
from tests.peer.trainer.tiny import INNER, MODEL, corpus, manifest, replica, run_id, train

PRESETS = ["solo", "noloco", "gossip"]


def test_solo_is_a_plain_pytorch_loop_bit_for_bit():
    one = replica(manifest("solo"), shard=3)
    losses = train(one, 10)

    net = build(MODEL, 256, seed=0)
    optimiser = adamw(net, INNER)
    order, position = Order(data.window_count(corpus().training, 32), 64, 3, seed=0), Position()
    for step in range(10):
        windows, position = order.take(position, INNER.batch)
        loss = net(data.batch(corpus().training, windows, 32))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), INNER.clip)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(INNER, step, step)
        optimiser.step()
        optimiser.zero_grad()
        assert loss.item() == losses[step]
    assert torch.equal(one.theta, torch.cat([parameter.detach().flatten() for parameter in net.parameters()]))


def mix_with(one: Replica, partner: Replica) -> None:
    """Take both outer steps and land the partner's share on `one`."""
    ours, theirs = one.take_outer_step(), partner.take_outer_step()
    if one.outer is not None:
        mix.apply(one.rule, one.outer, one.theta, mix.correction(ours, theirs))


def journey(run: Manifest, folder: Path | None) -> Replica:
    """Four steps, a mix, and three more; then, by way of a checkpoint or not, the same again."""
    one, partner = replica(run, 0), replica(run, 1)
    for half in range(2):
        for peer in (one, partner):
            for _ in range(4):
                peer.take_inner_step()
        mix_with(one, partner)
        for _ in range(3):
            one.take_inner_step()
        if half == 0 and folder is not None:
            checkpoint.save(folder, run_id(run), one.contents())
            one = replica(run, 0)
            torch.manual_seed(99)
            saved = checkpoint.newest(folder, run_id(run))
            assert saved is not None
            one.restore(saved)
    return one


@pytest.mark.parametrize("preset", PRESETS)
def test_a_resumed_replica_goes_on_bit_for_bit(tmp_path, preset):
    run = manifest(preset)
    torch.manual_seed(5)
    straight = journey(run, None)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    resumed = journey(run, tmp_path)
    assert resumed.counters == straight.counters
    assert torch.equal(resumed.theta, straight.theta)
    ours, theirs = resumed.contents().state, straight.contents().state
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if name != "random")
    assert torch.equal(torch.rand(3), drawn)
    assert torch.equal(resumed.take_inner_step(), straight.take_inner_step())


def test_counters():
    one = replica(shard=1)
    train(one, 9)
    assert one.counters == Counters(
        inner_step=9, outer_step=2, tokens=9 * 2 * 32, own_steps=9, position=Position(0, 18)
    )
    assert not one.at_boundary


def test_training_learns():
    losses = train(replica(), 40)
    assert sum(losses[-5:]) / 5 < losses[0] - 1


def donated(folder: Path, values: torch.Tensor, **changes: int) -> tuple[State, Path]:
    written = spool.write(folder / "state", get("fp32"), (values,))
    return State(file=written.name, **({"inner_step": 8, "outer_step": 2, "tokens": 512} | changes)), (
        folder / "state"
    )


def test_a_newcomer_stands_where_its_donor_stood(tmp_path):
    donor, newcomer = replica(shard=0), replica(shard=1)
    train(donor, 8)
    assert donor.outer is not None
    assert newcomer.outer is not None
    newcomer.adopt(*donated(tmp_path, torch.cat((donor.outer.phi, donor.outer.momentum))))
    assert newcomer.counters == Counters(inner_step=8, outer_step=2, tokens=512)
    assert torch.equal(newcomer.theta, donor.theta)
    assert torch.equal(newcomer.outer.phi, donor.outer.phi)
    assert torch.equal(newcomer.outer.momentum, donor.outer.momentum)
    newcomer.take_inner_step()
    assert newcomer.counters.own_steps == 1


@pytest.mark.parametrize("bad", ["short", "long", "not finite", "negative", "endless"])
def test_a_bad_state_is_refused(tmp_path, bad):
    newcomer = replica()
    values = torch.zeros(2 * newcomer.theta.numel() + {"short": -1, "long": 1}.get(bad, 0))
    counts = {"negative": {"tokens": -1}, "endless": {"inner_step": 2**60}}.get(bad, {})
    state, file = donated(tmp_path, values, **counts)
    if bad == "not finite":
        content = bytearray(file.read_bytes())
        content[-4:] = b"\0\0\xc0\x7f"
        file.write_bytes(content)
    with pytest.raises(RefusedStateError, match="donor's state"):
        newcomer.adopt(state, file)


def test_weights_that_are_not_finite_are_never_saved():
    one = replica()
    one.theta[7] = float("nan")
    with pytest.raises(TrainerError, match="diverged"):
        one.contents()
