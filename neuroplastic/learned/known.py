"""Genomes of BLUR whose meaning is known."""

from __future__ import annotations

import torch
from torch import Tensor

from neuroplastic.errors import check_range
from neuroplastic.learned.blur import Blur


def back_propagation(
    rate: float = 1.0,
    *,
    activation: str = "tanh",
    output: str = "linear",
    loss: str = "squared-error",
    gain: float = 1.0,
) -> tuple[Blur, Tensor]:
    """The rule, and its genome [D] in float64, that descends the gradient of the loss summed over a batch.

    The first state is activity, the second σ′ on the way forward and ∂ loss/∂ z on the way back (Sandler et al. 2021,
    section 3). Exact for any activation whose derivative is known.

    Args:
        rate: step for each unit of the gradient.
        activation: of hidden units.
        output: activation of the outputs; "linear" for the loss "cross-entropy".
        loss: "squared-error" ½ Σ (outputs - targets)², or "cross-entropy".
        gain: of the initial synapses.
    """
    rule = Blur(
        states=2,
        backward="second-state",
        symmetric=True,
        one_state=True,
        activation=activation,
        backward_activation="linear",
        output=output,
        slope=True,
        feedback=loss,
        gain=gain,
    )
    return rule, rule.layout.join(
        _numbers(rate) | {"ν": _forward_to_both(), "μ": torch.eye(2).double()} | _pre_by_second()
    )


def hebb(rate: float, *, activation: str = "relu-tanh", output: str = "tanh", gain: float = 1.0) -> tuple[Blur, Tensor]:
    """The rule, and its genome [D] in float64, of Hebb's rule with a teacher: Δw = rate · pre · post over the batch.

    Post of the outputs is the target; nothing passes back.

    Raises:
        ArgumentError: the rate is not a number from 0 on.
    """
    check_range("rate", rate, low=0)
    rule = Blur(one_state=True, activation=activation, backward_activation="linear", output=output, gain=gain)
    nothing = {"ν": _forward_to_both(), "μ": torch.zeros(2, 2).double()}
    return rule, rule.layout.join(_numbers(-rate) | nothing | _pre_by_second())


def _numbers(rate: float) -> dict[str, Tensor]:
    values = {"f": 1.0, "η": 1.0, "f̃": 1.0, "η̃": -rate}
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}


def _forward_to_both() -> Tensor:
    return torch.tensor([[1, 0], [1, 0]], dtype=torch.float64)


def _pre_by_second() -> dict[str, Tensor]:
    """Pre's first state by post's second one, in the synapse's first state."""
    swap = torch.tensor([[0, 1], [1, 0]], dtype=torch.float64)
    return {"ν̃": torch.eye(2).double(), "μ̃": swap}
