"""What the output layer is told before the backward pass: outputs, their second state, targets -> its second state."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Feedback = Callable[[Tensor, Tensor, Tensor], Tensor]


def label(outputs: Tensor, slopes: Tensor, targets: Tensor) -> Tensor:
    """The ±1 target itself, as in BLUR."""
    return targets


def error(outputs: Tensor, slopes: Tensor, targets: Tensor) -> Tensor:
    """Outputs less targets."""
    return outputs - targets


def squared_error(outputs: Tensor, slopes: Tensor, targets: Tensor) -> Tensor:
    """∂/∂z of ½ Σ (outputs - targets)², where the second state is σ′(z)."""
    return slopes * (outputs - targets)


def cross_entropy(outputs: Tensor, slopes: Tensor, targets: Tensor) -> Tensor:
    """∂/∂z of the cross-entropy of softmax(outputs), or of the logistic loss if there is one output; z in σ(z) = z."""
    if outputs.shape[-1] == 1:
        return slopes * (-targets * (-targets * outputs).sigmoid())
    return slopes * (outputs.softmax(-1) - (targets + 1) / 2)


FEEDBACKS: dict[str, Feedback] = {
    "label": label,
    "error": error,
    "squared-error": squared_error,
    "cross-entropy": cross_entropy,
}
