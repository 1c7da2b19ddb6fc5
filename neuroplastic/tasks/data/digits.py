"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from neuroplastic.errors import require


def digits() -> tuple[Tensor, Tensor]:
    """1,797 pictures of 8 × 8: x float32 [N, 64] in [0, 1], row by row, and y int64 [N] in 0..9. No download.

    Copies: what is done to them is nobody else's business.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    x, y = _digits()
    return torch.from_numpy(x.copy()), torch.from_numpy(y.copy())


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = require("sklearn.datasets", "sklearn").load_digits(return_X_y=True)
    return np.asarray(x / 16, np.float32), np.asarray(y, np.int64)
