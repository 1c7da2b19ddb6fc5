"""BLUR: Sandler et al. 2021, "Meta-Learning Bidirectional Update Rules" (ICML, arXiv 2104.04657).

A neuron has k states, a synapse too, and a small genome shared by all of them says how activity passes forward, how
feedback passes backward, and how synapses change with the states of the two neurons that they join. States come before
samples: activity is [P, E, k, B, units], synapses are [P, E, k, I, O], so that every pass is a batch of products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_name, check_range, check_shape
from neuroplastic.genome import Layout
from neuroplastic.learned.activations import ACTIVATIONS, Activation
from neuroplastic.learned.base import State, UpdateRule, check_networks, normals
from neuroplastic.learned.feedback import FEEDBACKS
from neuroplastic.noise import normal, stream

BACKWARD = ("additive", "multiplicative", "second-state")
EPSILON = 1e-9
"""Added to sums of squares and variances before their root is taken."""

NARROW = 32
"""Units up to which k times as many products are cheaper than a pass over all activity to mix its states."""

FEW = 4
"""States up to which sums of products are quicker than a product of matrices so flat."""


@dataclass(frozen=True)
class Blur(UpdateRule):
    """BLUR with its switches. Genome: f, η, f̃, η̃, ν, μ, ν̃, μ̃ and what the switches add: 4k² + 4 numbers as it is.

    Attributes:
        states: k.
        backward: how feedback meets what a neuron has: "additive" f a + η s, "multiplicative" f a s, or
            "second-state", multiplicative but for the first state, which becomes f a.
        symmetric: the way back has the synapses of the way forward; else it has its own.
        one_state: all states of a synapse are one number, changed as its first state would be.
        oja: synapses also change by -|o η̃| w Σ y², y the neuron's activity as it enters the Hebbian product; o evolves.
        synapse_norm: activity passes through w/√Σᵢw² instead of w, the sum over what comes in to a neuron.
        activation_norm: what enters an activation has, over samples and units of a layer, the mean and standard
            deviation of its state, which evolve. One unit in a batch of one has no deviation, so only the mean.
        gates: the forget gates f and f̃ evolve; else both are 1.
        saturation: changes of a synapse shrink by exp(-|s w|); s evolves.
        layers: each of so many layers of synapses has a genome of its own; 0: one is shared by all, however many.
        activation: of hidden units in the forward pass.
        backward_activation: of hidden units in the backward pass.
        output: activation of the last layer.
        slope: the second state is σ′ of its input on the way forward, instead of σ.
        feedback: what the last layer's second state becomes before the backward pass, one of `FEEDBACKS`; its first
            state stays, others become 0.
        gain: initial synapses are N(0, gain²/(I + 1)), I the units before them, with a bias to them.

    Raises:
        ArgumentError: a number is out of its range.
        UnknownNameError: no such activation, feedback or way back.
    """

    states: int = 2
    backward: str = "additive"
    symmetric: bool = False
    one_state: bool = False
    oja: bool = False
    synapse_norm: bool = False
    activation_norm: bool = False
    gates: bool = True
    saturation: bool = False
    layers: int = 0
    activation: str = "relu-tanh"
    backward_activation: str = "relu-tanh"
    output: str = "tanh"
    slope: bool = False
    feedback: str = "label"
    gain: float = 1.0

    def __post_init__(self) -> None:
        check_range("states", self.states, low=2)
        check_range("layers", self.layers, low=0)
        check_range("gain", self.gain, low=0, above=True)
        check_name("backward", self.backward, BACKWARD)
        check_name("feedback", self.feedback, FEEDBACKS)
        for name in ("activation", "backward_activation", "output"):
            check_name(name, getattr(self, name), ACTIVATIONS)

    @property
    def layout(self) -> Layout:
        return _layout(self)

    @property
    def start(self) -> Tensor:
        """f = η = f̃ = 1, η̃ = -1e-3 as in the paper, deviations 1, ν and μ that pass each state to itself."""
        k, values = self.states, {"f": 1.0, "η": 1.0, "f̃": 1.0, "η̃": -1e-3, "deviation": 1.0}
        arrays = {}
        for name, shape in self.layout.shapes:
            fixed = torch.eye(k) if name in ("ν", "μ") else torch.tensor(values.get(name, 0.0))
            arrays[name] = fixed.to(torch.float64).expand(shape)
        return self.layout.join(arrays)

    @property
    def scale(self) -> Tensor:
        """0.01 for η̃, which multiplies a sum over a batch; 1 for all others."""
        arrays = {name: torch.full(shape, 0.01 if name == "η̃" else 1.0) for name, shape in self.layout.shapes}
        return self.layout.join(arrays).double()

    def drawn(self, seed: int) -> Tensor:
        """`start`, but for the four matrices: N(0, ¼)."""
        genome, places = self.start.clone(), self.layout.slices
        for name in ("ν", "μ", "ν̃", "μ̃"):
            genome[places[name]] = 0.5 * normal(stream(seed, "genome", name), len(genome[places[name]])).double()
        return genome

    def birth(self, genomes: Tensor, sizes: Sequence[int], seeds: NDArray[np.int64]) -> State:
        self.split(genomes)
        seeds = check_networks(genomes, sizes, seeds)
        if self.layers and len(sizes) != self.layers + 1:
            raise ArgumentError(f"sizes: expected {self.layers + 1} for the genome's layers; got {list(sizes)}")
        state, k = {}, 1 if self.one_state else self.states
        for n, (inputs, outputs) in enumerate(pairwise(sizes)):
            shapes = {f"forward{n}": (inputs, outputs), f"bias{n}": (1, outputs)}
            if n and not self.symmetric:  # nothing passes back to the inputs
                shapes[f"backward{n}"] = (outputs, inputs)
            for name, shape in shapes.items():
                before = outputs if name.startswith("backward") else inputs
                drawn = normals(seeds, name, (k, *shape), genomes) * (self.gain / sqrt(before + 1))
                state[name] = drawn.expand(len(genomes), *drawn.shape[1:])
        return state

    def predict(self, genomes: Tensor, state: State, x: Tensor) -> Tensor:
        return self.forward(genomes, state, x)[-1][:, :, 0]

    def learn(self, genomes: Tensor, state: State, x: Tensor, targets: Tensor) -> State:
        activities = self.forward(genomes, state, x)
        told = FEEDBACKS[self.feedback](activities[-1][:, :, 0], activities[-1][:, :, 1], targets)
        return self.change(genomes, state, activities, told)

    def forward(self, genomes: Tensor, state: State, x: Tensor) -> list[Tensor]:
        """The way forward: activity of each layer [P, E, k, B, units]; of the inputs the first state, others are 0.

        States are 0 before, so that f says nothing here.
        """
        number = check_activity(genomes, state, x)
        activities = [x.unsqueeze(2)]
        for n, genome in enumerate(self._genomes(genomes, number)):
            into = genome["η"] * genome["ν"]
            weights, bias = self._passing(state[f"forward{n}"], state[f"bias{n}"])
            # The unit before a bias has all states 1.
            z = _passed(into, activities[-1], weights, _column(into.sum(-1)) * bias)
            z = self._normalised(z, genome)
            last = n == number - 1
            activities.append(self._activated(z, ACTIVATIONS[self.output if last else self.activation]))
        return activities

    def change(self, genomes: Tensor, state: State, activities: Sequence[Tensor], told: Tensor) -> State:
        """The way back from outputs that are told [P or 1, E, B, O] what their second state is, and then all synapses.

        Args:
            activities: of `forward`; they may be of any step before.
        """
        last = activities[-1]
        told = told.unsqueeze(2).expand_as(last[:, :, :1])
        post = torch.cat((last[:, :, :1], told, torch.zeros_like(last[:, :, 2:])), 2)
        changed: State = {}
        for n, genome in reversed(list(enumerate(self._genomes(genomes, len(activities) - 1)))):
            pre = activities[n]
            if n:
                pre = self._fed_back(state, n, genome, pre, post)
            changed[f"forward{n}"] = self._learned(state[f"forward{n}"], genome, pre, post)
            changed[f"bias{n}"] = self._learned(state[f"bias{n}"], genome, None, post)
            if n and not self.symmetric:
                changed[f"backward{n}"] = self._learned(state[f"backward{n}"], genome, post, pre)
            post = pre
        return changed

    def _genomes(self, genomes: Tensor, number: int) -> list[dict[str, Tensor]]:
        """What each layer of synapses obeys: numbers as [P, 1, 1], matrices [P, k, k]."""
        arrays = self.split(genomes)
        layers = [{name: array[:, n] for name, array in arrays.items()} for n in range(self.layers)] or [arrays]
        shaped = [
            {name: array[:, None, None] if array.ndim == 1 else array for name, array in layer.items()}
            for layer in layers
        ]
        return shaped if self.layers else shaped * number

    def _passing(self, weights: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Synapses as activity passes through them."""
        if not self.synapse_norm:
            return weights, weights if bias is None else bias
        squares = weights.square().sum(-2, keepdim=True) + (0 if bias is None else bias.square())
        norm = (squares + EPSILON).rsqrt()
        return weights * norm, norm if bias is None else bias * norm

    def _normalised(self, z: Tensor, genome: dict[str, Tensor]) -> Tensor:
        if not self.activation_norm:
            return z
        variance, mean = torch.var_mean(z, (-2, -1), correction=0, keepdim=True)
        return (z - mean) * (variance + EPSILON).rsqrt() * _column(genome["deviation"]) + _column(genome["mean"])

    def _activated(self, z: Tensor, activation: Activation) -> Tensor:
        if not self.slope:
            return activation.value(z)
        value = activation.value(torch.cat((z[:, :, :1], z[:, :, 2:]), 2))
        return torch.cat((value[:, :, :1], activation.slope(z[:, :, 1:2]), value[:, :, 1:]), 2)

    def _fed_back(self, state: State, n: int, genome: dict[str, Tensor], pre: Tensor, post: Tensor) -> Tensor:
        back = state[f"forward{n}"].transpose(-1, -2) if self.symmetric else state[f"backward{n}"]
        weights, _ = self._passing(back, None)
        forget = genome["f"][..., None, None] if self.gates else pre.new_ones(())
        if self.backward == "additive":
            z = torch.addcmul(_passed(genome["η"] * genome["μ"], post, weights), forget, pre)
        else:
            z = forget * pre * _passed(genome["μ"], post, weights)
        if self.backward == "second-state":
            z = torch.cat((forget * pre[:, :, :1], z[:, :, 1:]), 2)
        return ACTIVATIONS[self.backward_activation].value(self._normalised(z, genome))

    def _learned(self, synapses: Tensor, genome: dict[str, Tensor], before: Tensor | None, after: Tensor) -> Tensor:
        """Synapses after they learned: what is kept of them, and Σ over samples of (ν̃ᵀ before)(η̃ μ̃ after).

        Where ``before`` is None it is the unit before a bias, all of whose states are 1.
        """
        k = 1 if self.one_state else self.states
        first, second, rate = genome["ν̃"].transpose(-1, -2)[:, :k], genome["μ̃"][:, :k], genome["η̃"]
        kept = genome["f̃"][..., None, None] if self.gates else synapses.new_ones(())
        if self.oja:
            squares = _mix(second, after).square().sum(-2, keepdim=True)
            kept = kept - (genome["o"] * rate).abs()[..., None, None] * squares
        if self.saturation:
            change = _joined((kept - 1) * synapses, first, before, rate * second, after)
            return synapses + change * (-(genome["s"][..., None, None] * synapses).abs()).exp()
        return _joined(kept * synapses, first, before, rate * second, after)


@cache
def _layout(rule: Blur) -> Layout:
    k, lead = rule.states, (rule.layers,) * bool(rule.layers)
    shapes: dict[str, tuple[int, ...]] = {"f": (), "η": (), "f̃": (), "η̃": ()} if rule.gates else {"η": (), "η̃": ()}
    shapes |= {"ν": (k, k), "μ": (k, k), "ν̃": (k, k), "μ̃": (k, k)}
    if rule.oja:
        shapes["o"] = ()
    if rule.activation_norm:
        shapes |= {"mean": (k,), "deviation": (k,)}
    if rule.saturation:
        shapes["s"] = ()
    return Layout(tuple((name, lead + shape) for name, shape in shapes.items()))


def check_activity(genomes: Tensor, state: State, x: Tensor) -> int:
    """The number of layers of synapses.

    Raises:
        ShapeError: x is not [P or 1, E, B, I].
    """
    population, networks, _, inputs = state["forward0"].shape[:2] + state["forward0"].shape[-2:][::-1]
    check_shape("genomes", genomes, [population, "D"])
    check_shape("x", x, ["P" if len(x) == population else 1, networks, "B", inputs])
    return sum(name.startswith("forward") for name in state)


def _mix(matrices: Tensor, activity: Tensor) -> Tensor:
    """Matrices [P, c, d] of the genomes, over states d of activity [P, E, d, B, U]: [P, E, c, B, U]."""
    if activity.shape[2] <= FEW:
        columns = matrices[:, None, :, :, None, None].unbind(3)
        mixed, *others = activity.split(1, 2)
        mixed = columns[0] * mixed
        for column, other in zip(columns[1:], others, strict=True):
            mixed = torch.addcmul(mixed, column, other)
        return mixed
    return (matrices.unsqueeze(1) @ activity.flatten(-2)).unflatten(-1, activity.shape[-2:])


def _passed(matrices: Tensor, activity: Tensor, weights: Tensor, bias: Tensor | None = None) -> Tensor:
    """Σ over i, d of m^cd a_i^d w_ij^c, and a bias [P, E, c, 1, J]: [P, E, c, B, J].

    States are mixed where that is cheapest: in activity of one state not at all, else before the products, or, if they
    are to few units, behind k times as many of them.
    """
    if activity.shape[2] == 1:
        scale = _column(matrices[..., 0])
        if activity.shape[-2] < weights.shape[-1]:  # less activity than synapses
            return _biased(scale * activity, weights, bias)
        return _biased(activity, scale * weights, bias)
    if weights.shape[-1] > NARROW or weights.shape[-1] > weights.shape[-2]:
        return _biased(_mix(matrices, activity), weights, bias)
    states, samples, units = matrices.shape[1], activity.shape[-2], weights.shape[-1]
    columns = weights.expand(-1, -1, states, -1, -1).transpose(2, 3).flatten(-2)  # [P, E, I, c J]
    products = (activity.flatten(2, 3) @ columns).view(*activity.shape[:3], samples, states, units)
    scale = matrices.transpose(-1, -2)[:, None, :, None, :, None]
    z = (scale * products).sum(2).transpose(2, 3)
    return z if bias is None else z + bias


def _biased(activity: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
    """Activity [P or 1, E, 1 or c, B, I] through weights [P, E, 1 or c, I, J], and a bias added: [P, E, c, B, J]."""
    z = activity @ weights
    if bias is None:
        return z
    return z.add_(bias) if z.shape[2] == bias.shape[2] else z + bias


def _joined(onto: Tensor, first: Tensor, before: Tensor | None, second: Tensor, after: Tensor) -> Tensor:
    """``onto``, which nobody else has, plus Σ over samples of (first before)_i^c (second after)_j^c: [P, E, c, I, J].

    Of two sides of which one is narrow, the states of the other are mixed in the products; those of inputs, of which
    all but one are 0, where there is less to mix.
    """
    if before is None:
        return onto + _mix(first.sum(-1, keepdim=True) * second, after.sum(-2, keepdim=True))
    if before.shape[2] == 1:
        both = first[..., :1] * second
        if before.shape[-1] < before.shape[-2]:  # less synapses than activity
            return onto + _mix(both, before.transpose(-1, -2) @ after)
        return _added(onto, before, _mix(both, after))
    wide, narrow = max(before.shape[-1], after.shape[-1]), min(before.shape[-1], after.shape[-1])
    if narrow > NARROW or narrow == wide:
        return _added(onto, _mix(first, before), _mix(second, after))
    if before.shape[-1] == wide:
        return onto + _wide_products(first, before, _mix(second, after)).transpose(-1, -2)
    return onto + _wide_products(second, after, _mix(first, before))


def _added(onto: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """``onto`` [P, E, c, I, J], whose memory is used, plus Σ over samples of before_i after_j, states as they are."""
    lead = onto.shape[:3]
    parts = (array.expand(*lead, -1, -1).flatten(0, 2) for array in (before.transpose(-1, -2), after))
    return onto.flatten(0, 2).baddbmm_(*parts).unflatten(0, lead)


def _wide_products(matrices: Tensor, wide: Tensor, narrow: Tensor) -> Tensor:
    """Σ over samples and d of narrow_j^c m^cd wide_i^d: [P, E, c, J, I]."""
    states, units = narrow.shape[2], narrow.shape[-1]
    columns = narrow.transpose(-1, -2).flatten(2, 3).unsqueeze(2)  # [P, E, 1, c J, B]
    products = (columns @ wide).unflatten(-2, (states, units))
    return (matrices.transpose(-1, -2)[:, None, ..., None, None] * products).sum(2)


def _column(numbers: Tensor) -> Tensor:
    """Numbers [P, c] of the genomes' states as [P, 1, c, 1, 1]."""
    return numbers[:, None, :, None, None]
