import pytest
import torch

from peer.models.generate import Drawing, OwnDecoder, draw, generate
from peer.models.loaded import of_run, put
from peer.models.replicas import average

GREEDY = Drawing(temperature=0.0, top_p=1.0, seed=0)


@pytest.fixture(scope="module")
def net(run):
    made = of_run(run, torch.device("cpu"))
    put(average(run).weights, made.net)
    return made.net


def test_kept_keys_and_values_change_no_logit(net):
    tokens = list(b"Once upon a time there was a sta")
    decoder = OwnDecoder(net, 32)
    together = net.logits(torch.tensor([tokens]))[0]
    torch.testing.assert_close(decoder.feed(tokens[:10]), together[9])
    for place in range(10, 32):
        torch.testing.assert_close(decoder.feed([tokens[place]]), together[place])


def test_beyond_the_context_the_later_half_is_kept(net):
    tokens = list(b"Once upon a time there was a starling, and it sang")
    decoder = OwnDecoder(net, 32)
    for token in tokens[:33]:
        last = decoder.feed([token])
    torch.testing.assert_close(last, net.logits(torch.tensor([tokens[17:33]]))[0, -1])
    for place in range(33, 49):
        last = decoder.feed([tokens[place]])
        torch.testing.assert_close(last, net.logits(torch.tensor([tokens[17 : place + 1]]))[0, -1])
    last = decoder.feed([tokens[49]])
    torch.testing.assert_close(last, net.logits(torch.tensor([tokens[34:50]]))[0, -1])


def test_the_likeliest_token_each_time(net):
    prompt = list(b"Once upon")
    tokens = list(generate(net, 32, prompt, 12, GREEDY))
    for place in range(12):
        logits = net.logits(torch.tensor([prompt + tokens[:place]]))[0, -1]
        assert tokens[place] == int(logits.argmax())


def test_a_prompt_longer_than_the_context_counts_by_its_end(net):
    prompt = list(b"It is a truth universally acknowledged that")
    assert list(generate(net, 32, prompt, 1, GREEDY)) == list(generate(net, 32, prompt[-32:], 1, GREEDY))


def test_the_same_seed_writes_the_same(net):
    first, again, other = (list(generate(net, 32, [65], 60, Drawing(1.0, 1.0, seed))) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert len(first) == 60


def _drawn(logits, drawing, times=2000):
    generator = torch.Generator().manual_seed(drawing.seed)
    counts = torch.bincount(
        torch.tensor([draw(logits, drawing, generator) for _ in range(times)]), minlength=len(logits)
    )
    return counts / times


def test_tokens_are_drawn_by_their_chances():
    chances = torch.tensor([0.1, 0.4, 0.2, 0.3])
    torch.testing.assert_close(_drawn(chances.log(), Drawing(1.0, 1.0, 5)), chances, rtol=0, atol=0.05)
    colder = _drawn(chances.log(), Drawing(0.5, 1.0, 5))
    torch.testing.assert_close(colder, chances**2 / (chances**2).sum(), rtol=0, atol=0.05)


def test_only_the_nucleus_is_drawn_from():
    chances = torch.tensor([0.1, 0.4, 0.2, 0.3])
    drawn = _drawn(chances.log(), Drawing(1.0, 0.6, 5))
    torch.testing.assert_close(drawn, torch.tensor([0.0, 4 / 7, 0.0, 3 / 7]), rtol=0, atol=0.05)
    assert _drawn(chances.log(), Drawing(1.0, 0.0, 5), 50)[1] == 1.0


def test_a_very_low_temperature_is_no_division_by_zero():
    assert _drawn(torch.tensor([1.0, 3.0, 2.0]), Drawing(1e-9, 1.0, 5), 50)[1] == 1.0
