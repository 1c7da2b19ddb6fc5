"""Each reason for which CMA-ES, separable CMA-ES and xNES say that going on is pointless."""

import numpy as np
import pytest
import torch
from driving import rows_of
from torch import Tensor

from neuroplastic.search import CMAES, XNES, SeparableCMAES


def line(rows: Tensor) -> Tensor:
    return rows[:, 0]


def top(rows: Tensor) -> Tensor:
    return -rows.double().square().sum(dim=1)


def far_top(rows: Tensor) -> Tensor:
    return -(rows.double() - 1000).abs().amax(dim=1)


def steep(rows: Tensor) -> Tensor:
    scales = torch.ones(rows.shape[1], dtype=torch.float64)
    scales[1] = 1e18
    return -(rows.double().square() @ scales)


def steps(rows: Tensor) -> Tensor:
    return rows.double().square().sum(dim=1).ceil().clamp(max=1) * -3


def noise(rows: Tensor) -> Tensor:
    return torch.from_numpy(np.random.default_rng(int(rows[0, 0].abs() * 2**40)).standard_normal(len(rows)))


REASONS = [
    (line, {}, "the standard deviation grew from 0.3 to"),
    (top, {}, "which is below tol_fun = 1e-12"),
    (top, {"tol_fun": 0.0}, "all standard deviations are below tol_x"),
    (steep, {"tol_fun": 0.0, "tol_x": 0.0}, "the covariance has a condition number of"),
]
OF_CMA_ES = [
    *REASONS,
    (far_top, {"tol_fun": 0.0, "tol_x": 0.0, "sigma": 500.0}, "lost in rounding the center to torch.float32"),
    (steps, {"tol_fun": 0.0}, "the best fitness was -3 in each of the last 25 generations"),
    (noise, {"tol_fun": 0.0}, "neither the best nor the median fitness has risen"),
]


@pytest.mark.parametrize(
    ("make", "D", "fitness", "options", "reason"),
    [
        *((make, 4, *reason) for make in (CMAES, SeparableCMAES) for reason in OF_CMA_ES),
        *((XNES, 3, *reason) for reason in REASONS),
    ],
)
@pytest.mark.filterwarnings("ignore::neuroplastic.errors.SearchWarning")
def test_each_reason_to_stop_is_reached(make, D, fitness, options, reason):
    center = torch.full((D,), 1.0, dtype=torch.float64 if fitness is not far_top else torch.float32)
    strategy = make(center, **{"sigma": 0.3, "seed": 1, **options})
    assert strategy.stopped is None
    while not strategy.stopped and strategy.generation < 5_000:
        strategy.tell(fitness(rows_of(strategy)))
    assert reason in strategy.stopped


@pytest.mark.parametrize("make", [CMAES, SeparableCMAES])
def test_an_axis_that_rounding_loses_stops_it(make):
    strategy = make(torch.full((4,), 1e6), sigma=1.0, tol_x=0.0)
    state = strategy.state_dict()
    strategy.load_state_dict(state | {"deviations": torch.full((4,), 1e-5), "generation": 3})
    assert "along an axis is lost in rounding" in strategy.stopped
