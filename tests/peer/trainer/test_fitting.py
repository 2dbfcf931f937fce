"""Finding how much fits, on the CPU by measuring, and on a device that refuses (which is played here)."""

from contextlib import nullcontext

import pytest
import torch

from peer.errors import TrainerError
from peer.trainer import fitting, room
from peer.trainer.fitting import Fitting
from peer.trainer.gradients import Alone
from peer.trainer.notes import Key, Notes
from peer.trainer.passes import Passes
from protocol.trainer import Fitted
from tests.peer.trainer.tiny import replica, train, work

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
KEY = Key(device="test", memory=None, run="ab", batch=32)
EXAMPLES = torch.arange(32)


@pytest.fixture
def gpu(monkeypatch):
    """A GPU without a GPU: whoever takes too much gets what torch raises."""
    spared = []
    monkeypatch.setattr(room, "spared", lambda device, spare: spared.append(spare) or nullcontext())
    monkeypatch.setattr(room, "total", lambda device: 1000)
    monkeypatch.setattr(room, "_wait", lambda device: None)
    monkeypatch.setattr(torch.random, "fork_rng", lambda **_: nullcontext())
    for module in (room, fitting):
        monkeypatch.setattr(module, "give_back_cache", lambda device: None)
    return spared


class Memory:
    """Passes that take a unit for each example, on a device that has so many."""

    def __init__(self, units):
        self.units = units
        self.tried = []
        self.forgotten = 0

    def gradient(self, examples):
        self.tried.append(len(examples))
        if len(examples) > self.units:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    def forget(self):
        self.forgotten += 1


def make(folder, device=GPU, weights=0, cap=None):
    told: list[Fitted] = []
    return Fitting(device, weights, Notes(folder, KEY), told.append, cap), told


def most_of(one, memory):
    return one.within(EXAMPLES, memory, lambda most: most)


@pytest.mark.parametrize(
    ("units", "found"),
    # 20 would fit: with so many it takes two passes, and then they are of 16 each.
    [(1, 1), (3, 3), (8, 8), (20, 16), (31, 16), (32, 32), (100, 32)],
)
def test_as_many_pass_as_fit(tmp_path, gpu, units, found):
    one, told = make(tmp_path)
    memory = Memory(units)
    assert most_of(one, memory) == found
    assert told == [Fitted(micro_batch=found, batch=32, how="found")]
    assert memory.forgotten == 1
    assert max(memory.tried) <= 2 * units


def test_room_is_left_for_what_training_is_not_alone_with(tmp_path, gpu):
    one, _ = make(tmp_path, weights=7)
    most_of(one, Memory(8))
    assert gpu == [5 * 7 + 30]


@pytest.mark.parametrize(("units", "least"), [((100, 100), 17), ((8, 100), 6), ((100, 16), 9)])
def test_ranks_whose_parts_differ_by_one_agree_on_what_the_larger_can(tmp_path, gpu, units, least):
    """33 examples are 16 for one rank and 17 for the other, which would take two passes for 16 at once."""
    parts, found = (EXAMPLES[:16], torch.arange(17)), []
    for part, fit in zip(parts, units, strict=True):
        make(tmp_path / "nowhere")[0].ready(part, Memory(fit), lambda most: found.append(most) or most)
    for part in parts:
        one, _ = make(tmp_path)
        assert one.ready(part, Memory(100), lambda _: min(found), 17) == least
        assert Notes(tmp_path, KEY).read() == least
        Notes(tmp_path, KEY)._path.unlink()


def test_a_cap_is_kept(tmp_path, gpu):
    one, _ = make(tmp_path, cap=4)
    memory = Memory(100)
    assert most_of(one, memory) == 4
    assert max(memory.tried) == 4
    one, _ = make(tmp_path / "other", cap=1)
    assert most_of(one, Memory(0)) == 1, "one is not tried: it must do"


def test_not_even_one_fits(tmp_path, gpu):
    one, _ = make(tmp_path)
    with pytest.raises(TrainerError, match="Not even one example fits into the memory of cuda:0"):
        most_of(one, Memory(0))


def test_one_that_fits_only_without_room_to_spare_passes(tmp_path, gpu, monkeypatch):
    one, _ = make(tmp_path)
    memory = Memory(0)

    def fits(device, count, work):
        memory.tried.append(count)
        return len(memory.tried) > 1  # no ceiling any more

    monkeypatch.setattr(room, "fits", fits)
    assert most_of(one, memory) == 1


def test_a_restart_does_not_try_again(tmp_path, gpu):
    one, _ = make(tmp_path)
    most_of(one, Memory(8))
    again, told = make(tmp_path)
    memory = Memory(8)
    assert [most_of(again, memory) for _ in range(2)] == [8, 8]
    assert not memory.tried
    assert told == [Fitted(micro_batch=8, batch=32, how="remembered")]


def test_where_memory_runs_out_later_fewer_pass_from_then_on(tmp_path, gpu):
    one, told = make(tmp_path)
    memory, attempts = Memory(16), []

    def work(most):
        attempts.append(most)
        memory.gradient(EXAMPLES[:most])
        return most

    one.within(EXAMPLES, memory, work)
    memory.units = 5  # somebody has started a game
    assert one.within(EXAMPLES, memory, work) == 4
    assert attempts == [16, 16, 8, 4]
    assert memory.forgotten == 3
    assert [said.micro_batch for said in told] == [16, 8, 4]
    assert told[-1] == Fitted(micro_batch=4, batch=32, how="lowered")
    assert Notes(tmp_path, KEY).read() == 4


def test_less_than_one_there_is_not(tmp_path, gpu):
    one, _ = make(tmp_path)
    memory = Memory(1)
    most_of(one, memory)
    with pytest.raises(torch.OutOfMemoryError):
        one.within(EXAMPLES, Memory(0), lambda most: Memory(0).gradient(EXAMPLES[:most]))


def test_another_error_is_nobodys_memory(tmp_path, gpu):
    one, _ = make(tmp_path)
    most_of(one, Memory(8))

    def work(most):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        one.within(EXAMPLES, Memory(8), work)
    assert one.most == 8


def test_memory_that_runs_out_elsewhere_leaves_less_for_the_next_start(tmp_path, gpu):
    one, _ = make(tmp_path)
    most_of(one, Memory(8))
    with pytest.raises(torch.OutOfMemoryError), one.heeding(32):
        raise torch.OutOfMemoryError
    assert Notes(tmp_path, KEY).read() == 4
    with pytest.raises(RuntimeError, match="no"), one.heeding(32):
        raise RuntimeError("no")
    assert Notes(tmp_path, KEY).read() == 4


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
        RuntimeError("MPS backend out of memory (MPS allocated: 5.56 GB, max allowed: 6.80 GB)."),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_memory_runs_out_in_several_languages(error):
    assert room.is_out_of_memory(error)
    assert not room.is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


# ---- on the CPU, where nobody refuses


def test_on_the_cpu_a_small_batch_passes_whole_and_nothing_is_left_of_the_trials(tmp_path):
    one = replica()
    found, told = make(tmp_path, CPU, one.theta.nbytes)
    examples = work().feed.take(one.counters.position, 8)[0]
    before = torch.get_rng_state()
    loss = Alone(one.passes, CPU, found).of(examples, 0, 0)
    assert torch.equal(torch.get_rng_state(), before)
    plain = replica()
    wanted = plain.passes.gradient(examples)
    assert torch.equal(loss, wanted)
    for found_, expected in zip(one.net.parameters(), plain.net.parameters(), strict=True):
        assert torch.equal(found_.grad, expected.grad)
    assert told == [Fitted(micro_batch=8, batch=8, how="found")]


def test_on_the_cpu_what_is_tried_is_noted_first_as_the_system_may_end_us(tmp_path, monkeypatch):
    def height(device, count, work):
        assert Notes(tmp_path, KEY).tried() == count
        if count == 2:
            raise SystemExit
        return 100

    monkeypatch.setattr(room, "height", height)
    one, _ = make(tmp_path, CPU)
    with pytest.raises(SystemExit):
        most_of(one, Memory(100))
    assert (Notes(tmp_path, KEY).read(), Notes(tmp_path, KEY).tried()) == (None, 2)


def test_on_the_cpu_what_is_free_decides(tmp_path, monkeypatch):
    one = replica()
    monkeypatch.setattr(room, "free", lambda device: 0)
    found, told = make(tmp_path, CPU, one.theta.nbytes)
    one.gradients = Alone(one.passes, CPU, found)
    train(one, 1)
    assert told == [Fitted(micro_batch=1, batch=2, how="found")]


def test_on_the_cpu_an_owners_limit_is_room_for_all_processes(tmp_path, monkeypatch):
    """60 bytes are free; each process has 8 in use, each example takes 2, and one is made before."""
    monkeypatch.setattr(room, "total", lambda device: 0)
    monkeypatch.setattr(room, "free", lambda device: 60)
    monkeypatch.setattr(room, "in_use", lambda device: 8)
    monkeypatch.setattr(room, "height", lambda device, count, work: 8 + 2 * count)

    def found(sharers, allowed):
        told = []
        notes = Notes(tmp_path / f"{sharers}-{allowed}", KEY)
        one = Fitting(CPU, 0, notes, told.append, None, sharers, allowed)
        return one.find(EXAMPLES, Memory(32))

    assert (found(1, None), found(2, None)) == (30, 15)
    assert (found(1, 28), found(2, 28), found(1, 1000)) == (10, 3, 30)


def test_a_step_in_which_memory_runs_out_is_made_all_the_same(tmp_path):
    """The step's batch is what it was, and so is what it learns, but for rounding."""
    one, plain = replica(), replica()
    found, told = make(tmp_path, CPU)
    one.gradients = Alone(Failing(one.passes), CPU, found)
    torch.testing.assert_close(torch.tensor(train(one, 6)), torch.tensor(train(plain, 6)), rtol=1e-4, atol=0)
    torch.testing.assert_close(one.theta, plain.theta, rtol=0, atol=1e-4)
    assert one.counters == plain.counters
    assert [said.how for said in told] == ["found", "lowered"]


class Failing(Passes):
    """Fails half way through the third batch."""

    def __init__(self, passes):
        super().__init__(passes._net, CPU, nullcontext())
        self._count = 0

    def gradient(self, examples, most=None, weight=1.0):
        if most is not None:
            self._count += 1
            if self._count == 3:
                super().gradient(examples[:1])
                raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().gradient(examples, most, weight)
