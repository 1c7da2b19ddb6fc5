"""Gradients of what genomes reach: through the unroll, by PES, by truncated ES; and the learner that follows them."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, ShapeError, TrialError, UnknownNameError
from neuroplastic.genome import Layout
from neuroplastic.learned.base import State
from neuroplastic.learned.blur import Blur
from neuroplastic.learned.recall import Recall
from neuroplastic.learners.estimators import PES, Estimator, Unroll, Unrollable, truncated_es
from neuroplastic.learners.meta import Curriculum, MetaGradient
from neuroplastic.noise import episode_seeds
from neuroplastic.tasks.data import Snippets
from neuroplastic.tasks.families import boolean
from neuroplastic.tasks.learning import LearningTask
from neuroplastic.tasks.recall import RecallTask


@dataclass
class InfluenceBalancing:
    """x' = A x + θ s, loss ½ (x₀ - 1)²: at once θ pushes up, and in the long run down. The best is θ = -1/6."""

    length: int = 3000
    size: int = 23
    positive: int = 10
    layout = Layout((("θ", (1,)),))

    def begin(self, genomes: Tensor, seeds: NDArray[np.int64]) -> State:
        return {"x": genomes.new_ones(len(genomes), self.size)}

    def advance(
        self, state: State, genomes: Tensor, seeds: NDArray[np.int64], start: int, updates: int, *, every: bool = False
    ) -> tuple[State, Tensor]:
        ones = torch.ones(self.size, dtype=genomes.dtype)
        matrix = 0.5 * torch.diag(ones) + 0.5 * torch.diag(ones[1:], 1)
        signs = torch.where(torch.arange(self.size) < self.positive, 1.0, -1.0).to(genomes)
        x, losses = state["x"], []
        for _ in range(updates):
            x = x @ matrix.T + genomes * signs
            losses.append(0.5 * (x[:, 0] - 1).square())
        return {"x": x}, torch.stack(losses if every else losses[-1:], 1)


def balanced(estimator: Estimator, task: Unrollable) -> float:
    start = torch.tensor([[0.5]], dtype=torch.float64)
    learner = MetaGradient(estimator, task, start, optimizer="sgd", learning_rate=1e-4, clip=1e9, every=10_000)
    for _ in range(3000):
        learner.step()
    return float(learner.genomes)


@pytest.mark.parametrize("seed", [1, 2])
def test_pes_balances_influence_and_truncated_es_does_not(seed: int) -> None:
    task = InfluenceBalancing()
    assert balanced(PES(task, 1000, 0.1, 1, seed=seed), task) == pytest.approx(-1 / 6, abs=1e-3)
    assert balanced(truncated_es(task, particles=1000, sigma=0.1, truncation=1, seed=seed), task) > 0


def test_pes_over_whole_lives_is_es() -> None:
    """With a truncation as long as a life nothing persists; the estimate is close to the gradient for small σ."""
    task = InfluenceBalancing(length=20)
    genomes = torch.tensor([[0.3], [-0.5]], dtype=torch.float64)
    estimates = [PES(task, 200, 1e-3, 20, persistent=kept, seed=4).gradient(genomes, 0, 20) for kept in (True, False)]
    assert torch.equal(estimates[0][1], estimates[1][1])
    leaf = genomes.clone().requires_grad_()
    loss = task.advance(task.begin(leaf, np.zeros(1)), leaf, np.zeros(1), 0, 20, every=True)[1].sum(1)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    spread = gradient.abs() * 3 / np.sqrt(100) * 2  # of ε² over its mean, 100 pairs, at 3 standard deviations and more
    assert ((estimates[0][1] - gradient).abs() < spread).all()
    torch.testing.assert_close(estimates[0][0], loss.detach() / 20, rtol=1e-3, atol=1e-5)


def test_pes_begins_again_where_a_life_ends() -> None:
    task, genomes = InfluenceBalancing(length=5), torch.tensor([[0.3]], dtype=torch.float64)
    estimator = PES(task, 4, 0.1, 2, seed=4)
    for generation, position in enumerate([2, 4, 5, 2, 4, 5]):
        estimator.gradient(genomes, generation, 5)
        assert estimator.state_dict()["position"] == position
    assert estimator.state_dict()["births"] == 2


@dataclass
class Fragile(InfluenceBalancing):
    """Genomes above a bound fail."""

    bound: float = 0.4

    def advance(self, state, genomes, seeds, start, updates, *, every=False):
        state, losses = super().advance(state, genomes, seeds, start, updates, every=every)
        return state, torch.where(genomes > self.bound, torch.nan, losses)


def test_what_fails_does_not_count() -> None:
    genomes = torch.tensor([[0.35], [5.0]], dtype=torch.float64)
    loss, gradient = PES(Fragile(), 50, 0.1, 1, seed=1).gradient(genomes, 0, 10)
    assert torch.isfinite(gradient[0]).all()
    assert not torch.isfinite(loss[1])
    learner = MetaGradient(Unroll(Fragile(length=4)), Fragile(length=4), genomes, learning_rate=0.01)
    line = learner.step()
    assert line["failures"] == 1
    assert learner.genomes[1] == 5
    assert learner.genomes[0] != 0.35
    assert learner.found()["best"].genome.item() == 0.35
    with pytest.raises(TrialError, match="no genome has a finite gradient"):
        MetaGradient(Unroll(Fragile(length=4)), Fragile(length=4), genomes[1:]).step()


def blur_task(part: str = "train") -> LearningTask:
    return LearningTask(Blur(), boolean(((4,),)), part=part, updates=3, samples=8, exam=16)


def recall_task() -> RecallTask:
    return RecallTask(Recall(types=(0,) * 6), Snippets(6), length=3)


@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("make", [blur_task, recall_task])
def test_the_unrolled_gradient_is_that_of_finite_differences(make, every: bool) -> None:
    task, step = make(), 1e-6
    seed = int(np.random.default_rng().integers(10**6))
    rule = task.rule
    drawn = [rule.drawn(seed + n) if isinstance(rule, Blur) else rule.random(seed + n) for n in range(2)]
    genomes = torch.stack(drawn)
    estimator = Unroll(task, episodes=2, every=every, seed=seed)
    loss, gradient = estimator.gradient(genomes, 5, 3)
    checked = torch.randperm(genomes.shape[1])[:12].tolist()
    for d in checked:
        moved = step * torch.nn.functional.one_hot(torch.tensor(d), genomes.shape[1])
        ahead, behind = (estimator.gradient(genomes + sign * moved, 5, 3)[0] for sign in (1, -1))
        expected = (ahead - behind) / (2 * step)
        torch.testing.assert_close(gradient[:, d], expected, rtol=1e-4, atol=1e-6, msg=f"seed {seed}, number {d}")
    for episode, one in enumerate(episode_seeds(seed, "train", 5, 2)):
        _, alone = task.advance(task.begin(genomes, one[None]), genomes, one[None], 0, 3, every=every)
        loss = loss - alone.mean(1) / 2
        assert episode < 2
    torch.testing.assert_close(loss, torch.zeros_like(loss), rtol=0, atol=1e-12, msg=f"seed {seed}")


@pytest.mark.parametrize("kind", ["unroll", "pes"])
def test_stopped_and_resumed_is_the_same(kind: str) -> None:
    def learner() -> MetaGradient:
        task = blur_task()
        estimator = Unroll(task, episodes=2) if kind == "unroll" else PES(task, 4, 0.1, 2)
        start = torch.stack([Blur().drawn(n) for n in range(2)])
        return MetaGradient(estimator, blur_task("validation"), start, every=2, curriculum=Curriculum(2, 3, 4))

    straight, first, second = learner(), learner(), learner()
    lines = [straight.step() for _ in range(7)]
    for _ in range(3):
        first.step()
    second.load_state_dict(first.state_dict())
    again = [second.step() for _ in range(4)]
    for line, expected in zip(again, lines[3:], strict=True):
        assert {**line, "seconds": 0} == {**expected, "seconds": 0}
    for name, found in straight.found().items():
        assert torch.equal(found.genome, second.found()[name].genome)
    for name, value in straight.state_dict().items():
        other = second.state_dict()[name]
        assert torch.equal(value, other) if isinstance(value, Tensor) else value == other


def test_the_best_by_validation_is_kept() -> None:
    """Too large a rate: what comes later is worse than what was seen first."""
    task = InfluenceBalancing(length=30)
    start = torch.tensor([[-0.1], [0.4]], dtype=torch.float64)
    learner = MetaGradient(Unroll(task), task, start, optimizer="sgd", learning_rate=1e3, clip=1e9, every=1)
    seen = [learner.step()["validated"] for _ in range(5)]
    assert learner.found()["best"].genome.item() == -0.1
    assert seen == [seen[0]] * 5


def test_long_gradients_are_clipped() -> None:
    task = InfluenceBalancing(length=30)
    start = torch.tensor([[50.0], [0.2]], dtype=torch.float64)
    _, gradient = Unroll(task).gradient(start, 0, 30)
    clip = 2 * float(gradient[1].abs())
    learner = MetaGradient(Unroll(task), task, start, optimizer="sgd", learning_rate=1.0, clip=clip)
    learner.step()
    assert gradient[0].abs() > clip
    expected = torch.stack([start[0] - clip * gradient[0].sign(), start[1] - gradient[1]])
    torch.testing.assert_close(learner.genomes, expected)


def test_a_gradient_teaches_to_remember() -> None:
    """Lives of one snippet, learned in a hundred steps of Adam: bodies alone can do that."""
    task = RecallTask(Recall(types=(0,) * 8), Snippets(8), length=1)
    start = torch.stack([task.rule.random(n) for n in range(4)])
    learner = MetaGradient(Unroll(task, episodes=16), task, start, learning_rate=0.02, every=50)
    losses = [-learner.step()["best"] for _ in range(150)]
    assert min(losses[-20:]) < 0.5 * losses[0]


def test_curricula_grow() -> None:
    curriculum = Curriculum(5, 10, 100)
    assert [curriculum.length(n) for n in (0, 19, 20, 50, 99, 100, 10_000)] == [5, 5, 6, 7, 9, 10, 10]
    assert Curriculum(5, 10).length(0) == 10
    with pytest.raises(ArgumentError, match="curriculum.last: expected a number >= 5; got 4"):
        Curriculum(5, 4)


def test_what_cannot_be_is_refused() -> None:
    task = InfluenceBalancing()
    with pytest.raises(ArgumentError, match="particles: expected an even number; got 5"):
        PES(task, 5)
    with pytest.raises(ArgumentError, match="sigma"):
        PES(task, 4, 0.0)
    with pytest.raises(ShapeError, match=r"start: expected shape \[G, 1\]; got \[1, 2\]"):
        MetaGradient(Unroll(task), task, torch.zeros(1, 2))
    with pytest.raises(UnknownNameError, match="optimizer"):
        MetaGradient(Unroll(task), task, torch.zeros(1, 1), optimizer="lion")
    with pytest.raises(ArgumentError, match="clip"):
        MetaGradient(Unroll(task), task, torch.zeros(1, 1), clip=0)
