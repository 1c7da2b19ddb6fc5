"""Steps that a life takes to recover from what happened to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroplastic.errors import check_range

RECOVERY = "steps to recover"
SHARE = 0.9


@dataclass(frozen=True)
class Recovery:
    """When the reward rate is back to 90 % of what it was before a moment.

    The rate is the mean reward of ``window`` steps in a row; before the moment, of those that end there. A life has
    *lost* its rate if a window that begins within ``window`` steps after the moment pays less than the goal, and has
    *recovered* with the first later window that pays it. Its steps to recover are counted from the moment to that
    window's first step; 0 = nothing was lost.

    The goal is 90 % of the rate r before. Where r is negative, as with costs, that is 90 % of the way back to r from
    the worst window that follows, and never above 1.1 r: a cost that rose by a tenth is none lost.

    Attributes:
        moment: steps of the network before it.
        window: of the rate, in steps.

    Raises:
        ArgumentError: a number is below 1; nothing is known of a rate before a first step.
    """

    moment: int
    window: int

    def __post_init__(self) -> None:
        check_range("moment", self.moment, low=1)
        check_range("window", self.window, low=1)

    def steps(self, rewards: NDArray[np.float64], cut_short: bool) -> float:
        """Steps to recover in one life: infinite if it never did, NaN if it did not live to be asked.

        Args:
            rewards: of its steps [n].
            cut_short: whether it ended by a limit of steps alone. If not, nothing is paid after its end, so that one
                who falls does not recover; if so, only whole windows count, and infinite means *not until the limit*.
        """
        before, after = rewards[: self.moment][-self.window :], rewards[self.moment :]
        paid = after if cut_short else np.concatenate([after, np.zeros(self.window - 1)])
        if len(after) == 0 or len(paid) < self.window:
            return float("nan")
        rates = np.lib.stride_tricks.sliding_window_view(paid, self.window).mean(axis=1)
        rate = before.mean()
        goal = SHARE * rate if rate >= 0 else rate - (1 - SHARE) * max(-rate, rate - rates.min())
        (lost,) = np.nonzero(rates[: self.window + 1] < goal)
        if len(lost) == 0:
            return 0.0
        (back,) = np.nonzero(rates[lost[0] :] >= goal)
        return float(lost[0] + back[0]) if len(back) else float("inf")
