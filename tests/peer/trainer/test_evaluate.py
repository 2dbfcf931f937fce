import msgspec
import pytest
import torch

from peer.trainer import checkpoint, data
from peer.trainer.evaluate import austen_tokens, evaluate_replicas, held_out_loss, held_out_tokens
from tests.peer.trainer.tiny import MODEL, corpus, manifest, replica, run_id, train


def test_the_mean_is_over_evenly_spaced_windows():
    net = replica().net
    tokens = corpus().held_out[: 32 * 10 + 1]
    every = [float(net(data.batch(tokens, [i], 32)).detach()) for i in range(10)]
    assert held_out_loss(net, tokens, 32) == pytest.approx(sum(every) / 10)
    assert held_out_loss(net, tokens, 32, windows=2) == pytest.approx((every[2] + every[7]) / 2)


def test_start_each_and_average(tmp_path):
    run = manifest()
    replicas = [replica(run, shard) for shard in range(3)]
    paths = []
    for number, one in enumerate(replicas):
        train(one, 8)
        paths.append(checkpoint.save(tmp_path / str(number), run_id(run), one.contents()))
    tokens = held_out_tokens(run, None, None)
    losses = evaluate_replicas(paths, run, tokens, windows=16)
    assert losses.start == pytest.approx(held_out_loss(replica(run).net, tokens, 32, 16))
    assert losses.replicas == pytest.approx([held_out_loss(one.net, tokens, 32, 16) for one in replicas])
    assert max(losses.replicas) < losses.start
    mean = torch.stack([one.theta for one in replicas]).mean(0)
    replicas[0].theta.copy_(mean)
    assert losses.average == pytest.approx(held_out_loss(replicas[0].net, tokens, 32, 16), abs=1e-5)


def test_austen_comes_in_the_runs_tokens():
    tokens = austen_tokens(manifest(), None)
    assert tokens.dtype == torch.uint8
    assert tokens.numel() > 4_000_000


def test_evaluation_leaves_no_gradients():
    one = replica(msgspec.structs.replace(manifest(), model=MODEL))
    held_out_loss(one.net, corpus().held_out, 32, windows=1)
    assert all(parameter.grad is None for parameter in one.net.parameters())
