"""The usual functions, of rows [P, D] -> [P], to be minimised to 0."""

from functools import cache

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


def sphere(X: Numbers) -> Numbers:
    return (X**2).sum(axis=-1)


def ellipsoid(X: Numbers, condition: float = 1e6) -> Numbers:
    D = X.shape[-1]
    return X**2 @ condition ** (np.arange(D) / (D - 1))


def rosenbrock(X: Numbers) -> Numbers:
    return (100 * (X[:, 1:] - X[:, :-1] ** 2) ** 2 + (1 - X[:, :-1]) ** 2).sum(axis=1)


@cache
def rotation(D: int) -> Numbers:
    """The same one each time: [D, D]."""
    return np.linalg.qr(np.random.default_rng(5).standard_normal((D, D)))[0]
