import pytest
import torch

from pellucid.core.randomness import SampleDraws, StepDraws, fork, normal, of, shared, uniform


@pytest.mark.parametrize("world", [2, 4])
def test_processes_draw_slices_of_the_global_batch(world):
    whole = StepDraws(seed=1, step=2).of("start").normal((8, 3, 2))
    parts = [
        StepDraws(seed=1, step=2, rank=r, world=world).of("start").normal((8 // world, 3, 2)) for r in range(world)
    ]
    assert torch.equal(torch.cat(parts), whole)


def test_seed_step_and_purpose_all_matter():
    draws = [
        StepDraws(seed=0, step=0),
        StepDraws(seed=1, step=0),
        StepDraws(seed=0, step=1),
        StepDraws(seed=0, step=0).of("a"),
        StepDraws(seed=0, step=0).of("b"),
        StepDraws(seed=0, step=0).of("a").of("b"),
    ]
    values = {tuple(d.uniform((5,)).tolist()) for d in draws}
    assert len(values) == len(draws)


def test_samples_do_not_know_their_batch():
    whole = SampleDraws(seed=0, index=(3, 1, 4)).of("x").uniform((3, 6))
    for row, index in zip(whole, (3, 1, 4), strict=True):
        assert torch.equal(SampleDraws(seed=0, index=(index,)).of("x").uniform((1, 6))[0], row)


def test_shared_is_the_same_in_every_process():
    values = {shared(StepDraws(0, 5, rank, 3)).uniform((1,)).item() for rank in range(3)}
    assert len(values) == 1


def test_distributions():
    for draws in (StepDraws(seed=0, step=0), SampleDraws(seed=0, index=(0,))):
        u, z = draws.uniform((1, 100_000)), draws.normal((1, 100_000))
        assert u.min() >= 0 and u.max() < 1 and abs(u.mean() - 0.5) < 0.01
        assert abs(z.mean()) < 0.02 and abs(z.std() - 1) < 0.02


def test_ordinary_generators_and_none():
    first = uniform((3,), torch.Generator().manual_seed(0))
    assert torch.equal(first, torch.rand(3, generator=torch.Generator().manual_seed(0)))
    generator = torch.Generator()
    assert of(generator, "start") is generator and shared(generator) is generator
    with fork(0):
        none = normal((3,))
    with fork(0):
        assert torch.equal(none, torch.randn(3))


def test_fork_restores_the_global_generator():
    before = torch.get_rng_state()
    with fork(1, "a"):
        a = torch.rand(2)
    with fork(1, "b"):
        b = torch.rand(2)
    assert not torch.equal(a, b)
    assert torch.equal(before, torch.get_rng_state())
