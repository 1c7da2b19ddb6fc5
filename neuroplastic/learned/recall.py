"""An online rule that learns to remember, in the spirit of Gregor 2020.

"Finding online neural update rules by learning to remember" (arXiv 2003.03124) has small vectors as states of neurons
and synapses, and two networks, shared by all neurons and by all synapses, that compute their updates from what is
local. Its equations and sizes were not at hand: those below are this project's own, and no figure of the paper's can be
compared with ours.

N neurons of which each is joined to each other one, m states of a neuron's body, n of a synapse, e of a type.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_range, check_shape
from neuroplastic.genome import Layout
from neuroplastic.learned.base import State
from neuroplastic.noise import normal, stream


@dataclass(frozen=True)
class Recall:
    """Two meta-networks of the form C ((A u) ⊙ tanh(B u)), u what is local and a 1: the genome, with types.

    - message to neuron i: q_i = 1/N Σ_{j≠i} s_ij ⊙ (M h_j)                     [n]
    - body: h_i ← tanh(body network of (h_i, q_i, x_i, t_i, 1)), x_i the neuron's input    [m]
    - synapse from j to i: s_ij ← s_ij + synapse network of (h_i, h_j, s_ij, t_i, t_j, 1)  [n]

    While a snippet is observed, bodies are updated ``settle`` times and then all synapses once; while one is recalled,
    bodies alone. The first state of a body is what the neuron says.

    Attributes:
        body: m.
        synapse: n.
        width: hidden units of each meta-network.
        types: the type of each neuron, as many as a snippet is long, from 0 on; how many there are is one more than the
            largest.
        embedding: e, numbers that a type is known by.
        settle: updates of bodies before synapses learn, and again before the answer.
        plastic: whether synapses change at all.

    Raises:
        ArgumentError: a number is out of its range.
    """

    body: int = 3
    synapse: int = 2
    width: int = 8
    types: tuple[int, ...] = (0,) * 24
    embedding: int = 1
    settle: int = 2
    plastic: bool = True

    def __post_init__(self) -> None:
        for name in ("body", "synapse", "width", "embedding", "settle"):
            check_range(name, getattr(self, name), low=1)
        if len(self.types) < 2 or min(self.types) < 0:
            raise ArgumentError(f"types: expected a type from 0 on for each of two neurons at least; got {self.types}")

    @property
    def layout(self) -> Layout:
        return _layout(self)

    def random(self, seed: int) -> Tensor:
        """A genome [D], float64, to start from: N(0, 1/fan-in) for A and B, tenths of it for C, N(0, 1) for types."""
        arrays = {}
        for name, shape in self.layout.shapes:
            drawn = normal(stream(seed, "recall", name), int(torch.Size(shape).numel())).double().view(shape)
            scale = 1.0 if name == "types" else shape[-1] ** -0.5
            arrays[name] = drawn * scale * (0.1 if name == "synapse.C" else 1.0)
        return self.layout.join(arrays)

    def birth(self, genomes: Tensor, networks: int) -> State:
        """P × E networks that have seen nothing: genomes [P, D]; all states are 0."""
        check_shape("genomes", genomes, ["P", self.layout.size])
        lead, neurons = (len(genomes), networks), len(self.types)
        return {
            "body": genomes.new_zeros(*lead, self.body, neurons),
            "synapse": genomes.new_zeros(*lead, self.synapse, neurons, neurons),
        }

    def observe(self, genomes: Tensor, state: State, snippets: Tensor) -> State:
        """The networks after snippets [P or 1, E, S, N], one after the other."""
        arrays = self._arrays(genomes, snippets)
        body, synapse = state["body"], state["synapse"]
        for snippet in snippets.unbind(2):
            for _ in range(self.settle):
                body = self._body(arrays, body, synapse, snippet.unsqueeze(2))
            if self.plastic:
                synapse = self._synapse(arrays, body, synapse)
        return {"body": body, "synapse": synapse}

    def recall(self, genomes: Tensor, state: State, cues: Tensor) -> Tensor:
        """What is said to each of the cues [P or 1, E, S, N]: [P, E, S, N]. The networks stay as they are."""
        arrays = self._arrays(genomes, cues)
        body = state["body"].unsqueeze(2).expand(-1, -1, cues.shape[2], -1, -1)
        synapse, cue = state["synapse"].unsqueeze(2), cues.unsqueeze(3)
        arrays = {name: array.unsqueeze(2) for name, array in arrays.items()}
        for _ in range(self.settle):
            body = self._body(arrays, body, synapse, cue)
        return body[..., 0, :]

    def _arrays(self, genomes: Tensor, snippets: Tensor) -> dict[str, Tensor]:
        """The genomes' arrays [P, 1, ...]; ``types`` become those of the neurons [P, 1, e, N]."""
        check_shape("snippets", snippets, ["P", "E", "S", len(self.types)])
        arrays = {name: array.unsqueeze(1) for name, array in self.layout.split(genomes).items()}
        arrays["types"] = arrays["types"][..., torch.tensor(self.types, device=genomes.device), :].transpose(-1, -2)
        return arrays

    def _body(self, arrays: dict[str, Tensor], body: Tensor, synapse: Tensor, given: Tensor) -> Tensor:
        """Bodies [..., m, N], synapses [..., n, N, N], inputs [..., 1, N] -> bodies."""
        sent = arrays["M"] @ body
        told = (synapse @ sent.unsqueeze(-1)).squeeze(-1) - synapse.diagonal(dim1=-2, dim2=-1) * sent
        lead = body.shape[:-2]
        around = [body, told / body.shape[-1], given.expand(*lead, 1, -1), arrays["types"].expand(*lead, -1, -1)]
        u = torch.cat([*around, torch.ones_like(body[..., :1, :])], -2)
        gate = torch.tanh(arrays["body.B"] @ u)
        return torch.tanh(arrays["body.C"] @ ((arrays["body.A"] @ u) * gate))

    def _synapse(self, arrays: dict[str, Tensor], body: Tensor, synapse: Tensor) -> Tensor:
        """What is local to a synapse are parts of both neurons and its own: their products are made apart."""
        n, types = self.synapse, arrays["types"].expand(*body.shape[:-2], -1, -1)
        neuron = torch.cat([body, types], -2)
        one = neuron.shape[-2]

        def through(name: str) -> Tensor:
            matrix = arrays[name]
            after, before = matrix[..., :one] @ neuron, matrix[..., one : 2 * one] @ neuron
            own = matrix[..., 2 * one : 2 * one + n] @ synapse.flatten(-2)
            both = after.unsqueeze(-1) + before.unsqueeze(-2) + matrix[..., -1:].unsqueeze(-1)
            return both + own.unflatten(-1, synapse.shape[-2:])

        hidden = through("synapse.A") * torch.tanh(through("synapse.B"))
        return synapse + (arrays["synapse.C"] @ hidden.flatten(-2)).unflatten(-1, synapse.shape[-2:])


@cache
def _layout(rule: Recall) -> Layout:
    m, n, e, width = rule.body, rule.synapse, rule.embedding, rule.width
    around_body, around_synapse = m + n + 1 + e + 1, 2 * (m + e) + n + 1
    return Layout(
        (
            ("M", (n, m)),
            ("body.A", (width, around_body)),
            ("body.B", (width, around_body)),
            ("body.C", (m, width)),
            ("synapse.A", (width, around_synapse)),
            ("synapse.B", (width, around_synapse)),
            ("synapse.C", (n, width)),
            ("types", (max(rule.types) + 1, e)),
        )
    )


def hopfield(neurons: int, *, settle: int = 2) -> tuple[Recall, Tensor]:
    """The rule, and its genome [D] in float64, that stores outer products and recalls by signs.

    Hopfield 1982, "Neural networks and physical systems with emergent collective computational abilities": snippets of
    ±1 are stored as s = Σ x xᵀ. Where a cue is not 0 a neuron says the cue; the others begin with what they said last,
    and say ``settle`` times, all at once, sign(Σ_{j≠i} s_ij h_j).
    """
    rule = Recall(body=1, synapse=1, width=1, types=(0,) * neurons, settle=settle)
    arrays = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in rule.layout.shapes}
    arrays["M"][:] = 1
    # Of u = (h, q, x, t, 1): q speaks loudly, x drowns it, and what is multiplied with their sum is 1.
    arrays["body.A"][0, 1], arrays["body.A"][0, 2], arrays["body.B"][0, 4], arrays["body.C"][:] = 1e6, 1e12, LOUD, 1
    # Of u = (h_i, t_i, h_j, t_j, s_ij, 1): h_i by the sign of h_j.
    arrays["synapse.A"][0, 0], arrays["synapse.B"][0, 2], arrays["synapse.C"][:] = 1, LOUD, 1
    return rule, rule.layout.join(arrays)


LOUD = 25.0
"""tanh of it is 1 in float64."""


def frozen(rule: Recall) -> Recall:
    """The same rule, whose synapses stay as they were born: its bodies alone can remember."""
    return Recall(**{**vars(rule), "plastic": False})
