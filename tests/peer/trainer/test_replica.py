import dataclasses
import hashlib
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import save_file

from peer.codec.registry import get
from peer.errors import PeerError, TrainerError
from peer.outer import mix
from peer.trainer import checkpoint, data, spool
from peer.trainer.checkpoint import Counters
from peer.trainer.inner import learning_rate
from peer.trainer.model import build
from peer.trainer.order import Order, Position
from peer.trainer.replica import RefusedStateError, Replica
from protocol.manifest import Manifest
from protocol.trainer import State
from tests.peer.trainer.tiny import INNER, MODEL, adamw, corpus, manifest, replica, run_id, train, work

PRESETS = ["solo", "noloco", "gossip", "streaming-gossip", "streaming-diloco", "diloco"]


def test_solo_is_a_plain_pytorch_loop_bit_for_bit():
    one = replica(manifest("solo"), shard=3)
    losses = train(one, 10)

    net = build(MODEL, 256, seed=0)
    optimiser = adamw(list(net.parameters()), INNER)
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
    fragment = one.fragments[0]
    ours, theirs = one.take_outer_step(fragment), partner.take_outer_step(fragment)
    if one.outer is not None and ours is not None and theirs is not None and ours.shared:
        mix.apply(one.rule, one.outer, one.theta, mix.correction(ours.shared, theirs.shared), ours.where)


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
    assert one.due is None


def test_one_fragment_is_the_whole_model():
    one = replica(manifest("gossip"))
    assert [one.where(fragment) for fragment in one.fragments] == [None]
    whole = replica(manifest("streaming-gossip"))
    assert len(whole.fragments) == 2
    train(one, 8)
    train(whole, 8)
    assert one.counters.outer_step == 2
    assert whole.counters.outer_step == 4
    assert not torch.equal(one.theta, whole.theta)


def test_a_fragments_step_leaves_the_others_alone():
    one = replica(manifest("streaming-gossip"))
    one.take_inner_step()
    one.take_inner_step()
    assert one.due is one.fragments[0]
    before = one.theta.clone()
    one.take_outer_step(one.fragments[0])
    assert one.outer is not None
    for fragment, moved in zip(one.fragments, (True, False), strict=True):
        for start, stop in fragment.ranges:
            assert torch.equal(one.theta[start:stop], before[start:stop]) is not moved
            assert bool(one.outer.momentum[start:stop].any()) is moved


@pytest.mark.parametrize("optimiser", ["muon", "sgd"])
def test_every_inner_optimiser_is_resumed_bit_for_bit(tmp_path, optimiser):
    run = msgspec.structs.replace(manifest(), inner=msgspec.structs.replace(INNER, kind=optimiser))
    straight, resumed = journey(run, None), journey(run, tmp_path)
    assert torch.equal(resumed.theta, straight.theta)


def test_a_host_with_a_batch_of_its_own_counts_its_own_tokens():
    one = Replica(manifest(), work(), torch.device("cpu"), batch=5)
    for _ in range(4):
        one.take_inner_step()
    assert one.counters.tokens == 4 * 5 * 32
    fragment = one.due
    assert fragment is not None
    boundary = one.take_outer_step(fragment)
    assert boundary is not None
    assert boundary.tokens == 4 * 5 * 32


def test_a_blend_that_was_under_way_lands_when_a_checkpoint_is_resumed(tmp_path):
    run = manifest("noloco", landing="blend")
    one = replica(run)
    for _ in range(4):
        one.take_inner_step()
    one.take_outer_step(one.fragments[0])
    checkpoint.save(tmp_path, run_id(run), one.contents())
    again = replica(run)
    saved = checkpoint.newest(tmp_path, run_id(run))
    assert saved is not None
    again.restore(saved)
    assert not torch.equal(again.theta, one.theta)
    one.settle(one.fragments[0])
    assert torch.equal(again.theta, one.theta)
    one.settle(one.fragments[0])
    assert torch.equal(again.theta, one.theta)


def test_tokens_of_a_share_are_known_again_after_a_restart(tmp_path):
    run = manifest("streaming-gossip")
    one = replica(run)
    train(one, 7)
    checkpoint.save(tmp_path, run_id(run), one.contents())
    saved = checkpoint.newest(tmp_path, run_id(run))
    assert saved is not None
    again = replica(run)
    smaller = Replica(run, work(run), torch.device("cpu"), batch=1)
    for each in (again, smaller):
        each.restore(saved)
    for each, last in ((one, 64), (again, 64), (smaller, 32)):
        each.take_inner_step()
        assert each.due is each.fragments[1]
        boundary = each.take_outer_step(each.fragments[1])
        assert boundary is not None
        assert boundary.tokens == 3 * 64 + last


def test_first_weights_come_from_the_file_that_the_manifest_names(tmp_path):
    donor = replica(manifest("solo"))
    train(donor, 3)
    save_file(dict(donor.net.named_parameters()), tmp_path / "weights")
    digest = hashlib.sha256((tmp_path / "weights").read_bytes()).digest()
    run = manifest()
    run = msgspec.structs.replace(run, model=msgspec.structs.replace(run.model, sha256=digest))
    one = replica(run)
    one.begin(tmp_path / "weights")
    assert one.outer is not None
    assert torch.equal(one.theta, donor.theta)
    assert torch.equal(one.outer.phi, donor.theta)
    for path in (None, tmp_path / "absent", Path(__file__)):
        with pytest.raises(PeerError):
            replica(run).begin(path)


def test_training_learns():
    losses = train(replica(), 40)
    assert sum(losses[-5:]) / 5 < losses[0] - 1


def donated(folder: Path, values: torch.Tensor, **changes: int) -> tuple[State, Path]:
    written = spool.write(folder / "state", get("fp32"), (values,))
    return State(file=written.file, **({"inner_step": 8, "outer_step": 2, "tokens": 512} | changes)), (
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


def test_a_device_with_room_for_one_window_tries_a_state_on_one(tmp_path):
    newcomer, windows = replica(), []

    def test(net, count):
        windows.append(count)
        if count > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return 5.0

    newcomer._work = dataclasses.replace(newcomer._work, test=test)
    donor = trained()
    assert donor.outer is not None
    newcomer.adopt(*donated(tmp_path, torch.cat((donor.outer.phi, donor.outer.momentum))))
    assert windows == [2, 1, 2, 1], "the state, and where its momentum leads"
    assert torch.equal(newcomer.theta, donor.theta)


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


def trained(shard: int = 0) -> Replica:
    donor = replica(shard=shard)
    train(donor, 8)
    return donor


@pytest.mark.parametrize("absurd", ["weights", "a tenth of the weights", "momentum", "one momentum"])
def test_finite_but_absurd_states_are_refused(tmp_path, absurd):
    donor = trained()
    assert donor.outer is not None
    phi, momentum = donor.outer.phi.clone(), donor.outer.momentum.clone()
    if absurd == "weights":
        phi.mul_(1e20)
    elif absurd == "a tenth of the weights":
        phi[: phi.numel() // 10] = 1e6
    else:
        momentum[-1 if absurd == "one momentum" else slice(None)] = 1e30
    newcomer = replica(shard=1)
    with pytest.raises(RefusedStateError, match="donor's state"):
        newcomer.adopt(*donated(tmp_path, torch.cat((phi, momentum))))


@pytest.mark.parametrize("preset", ["noloco", "gossip", "diloco", "streaming-diloco", "solo"])
def test_a_patchwork_of_two_honest_states_is_taken_and_so_are_first_weights(tmp_path, preset):
    run, state = manifest(preset), []
    for shard in (0, 1):
        donor = replica(run, shard)
        train(donor, 24 * shard)
        momentum = torch.zeros_like(donor.theta) if donor.outer is None else donor.outer.momentum
        state.append(torch.cat((donor.theta if donor.outer is None else donor.outer.phi, momentum)))
    turns = torch.arange(state[0].numel()) // 1000 % 2 == 0
    for number, values in enumerate((*state, torch.where(turns, *state))):
        (tmp_path / str(number)).mkdir()
        newcomer = replica(run)
        newcomer.adopt(*donated(tmp_path / str(number), values))
        assert torch.equal(newcomer.theta, values[: newcomer.theta.numel()]), "the probe leaves no trace"


def standings(one: Replica, outer_steps: int) -> list[int]:
    found: list[int] = []
    while len(found) < outer_steps:
        one.take_inner_step()
        if (fragment := one.due) is not None:
            boundary = one.take_outer_step(fragment)
            assert boundary is not None
            found.append(boundary.standing)
            one.settle(fragment)
    return found


def test_a_newcomers_share_counts_for_nothing_first_and_then_ever_more(tmp_path):
    donor, newcomer = trained(), replica(shard=1)
    assert donor.outer is not None
    newcomer.adopt(*donated(tmp_path, torch.cat((donor.outer.phi, donor.outer.momentum))))
    assert standings(newcomer, 7) == [0, 16, 32, 48, 64, 64, 64]
    back = replica(shard=1)
    back.restore(newcomer.contents())
    assert standings(back, 6) == [0, 16, 32, 48, 64, 64], "so does that of one that was away"
    assert standings(donor, 2) == [64, 64]


def given(folder: Path, donor: Replica) -> tuple[State, Path]:
    assert donor.outer is not None
    now = donor.counters
    told = {"inner_step": now.inner_step, "outer_step": now.outer_step, "tokens": now.tokens}
    return donated(folder, torch.cat((donor.outer.phi, donor.outer.momentum)), **told)


def test_who_was_left_behind_stands_where_its_donor_stood_and_reads_on_where_it_was(tmp_path):
    donor, ours, back = replica(shard=0), trained(shard=1), replica(shard=1)
    train(donor, 40)
    back.adopt(*given(tmp_path, donor), ours.contents())
    assert torch.equal(back.theta, donor.outer.phi)
    assert back.counters == msgspec.structs.replace(
        donor.counters, own_steps=0, position=ours.counters.position
    )
    assert standings(back, 4) == [0, 16, 32, 48], "it gives nothing at first"


def test_nobody_goes_back(tmp_path):
    donor, ours = trained(shard=0), trained(shard=1)
    with pytest.raises(RefusedStateError, match="step 8, which we have passed"):
        replica().adopt(*given(tmp_path, donor), ours.contents())


def test_a_state_that_does_worse_than_ours_is_no_way_on_whatever_it_claims(tmp_path):
    donor, ours = trained(shard=0), replica(shard=1)
    train(ours, 200)
    state, file = given(tmp_path, donor)
    content = file.read_bytes()
    with pytest.raises(RefusedStateError, match="is the most"):
        replica().adopt(msgspec.structs.replace(state, inner_step=10_000), file, ours.contents())
    file.write_bytes(content)
    replica().adopt(state, file)  # a newcomer has nothing better


def test_weights_that_are_not_finite_are_never_saved():
    one = replica()
    one.theta[7] = float("nan")
    with pytest.raises(TrainerError, match="diverged"):
        one.contents()
