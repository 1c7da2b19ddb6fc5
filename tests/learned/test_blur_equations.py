"""BLUR against loops over neurons, synapses and states, written from the paper's equations."""

from math import exp, sqrt, tanh

import pytest
import torch
from rules_tried import RULES

from neuroplastic.learned.base import State
from neuroplastic.learned.blur import EPSILON, Blur

BLURS = {name: rule for name, rule in RULES.items() if isinstance(rule, Blur)}
VALUE = {
    "linear": lambda z: z,
    "tanh": tanh,
    "relu-tanh": lambda z: max(0.0, tanh(z)),
    "sigmoid": lambda z: 1 / (1 + exp(-z)),
}
SLOPE = {
    "linear": lambda z: 1.0,
    "tanh": lambda z: 1 - tanh(z) ** 2,
    "relu-tanh": lambda z: 1 - tanh(z) ** 2 if z > 0 else 0.0,
}


class Slow:
    """One network, one genome."""

    def __init__(self, rule: Blur, genome: torch.Tensor, synapses: State) -> None:
        self.rule, self.k = rule, rule.states
        self.arrays = {name: array.tolist() for name, array in rule.layout.split(genome).items()}
        self.synapses = {name: array.tolist() for name, array in synapses.items()}
        self.layers = sum(name.startswith("forward") for name in synapses)

    def __getitem__(self, key: tuple[str, int]):
        name, layer = key
        if name in ("f", "f̃") and not self.rule.gates:
            return 1.0
        return self.arrays[name][layer] if self.rule.layers else self.arrays[name]

    def weight(self, name: str, c: int, i: int, j: int) -> float:
        """From unit i to unit j of those that the array joins; i = -1 for the unit before a bias."""
        c = 0 if self.rule.one_state else c
        kind, layer = name.rstrip("0123456789"), int(name[-1])
        if kind == "backward" and self.rule.symmetric:
            column, bias = list(self.synapses[f"forward{layer}"][c][j]), []
        else:
            column = [row[j] for row in self.synapses[name][c]]
            bias = [self.synapses[f"bias{layer}"][c][0][j]] if kind == "forward" else []
        value = bias[0] if i < 0 else column[i]
        norm = sqrt(sum(w * w for w in column + bias) + EPSILON)
        return value / norm if self.rule.synapse_norm else value

    def norm(self, z: list, layer: int) -> list:
        """z[b][unit][state]."""
        if not self.rule.activation_norm:
            return z
        out = [[[0.0] * self.k for _ in units] for units in z]
        for c in range(self.k):
            numbers = [unit[c] for units in z for unit in units]
            mean = sum(numbers) / len(numbers)
            variance = sum((number - mean) ** 2 for number in numbers) / len(numbers)
            for b, units in enumerate(z):
                for j, unit in enumerate(units):
                    normal = (unit[c] - mean) / sqrt(variance + EPSILON)
                    out[b][j][c] = normal * self["deviation", layer][c] + self["mean", layer][c]
        return out

    def forward(self, x: list) -> list:
        """Activity of all layers, [b][unit][state]."""
        k = self.k
        activities = [[[[number] + [0.0] * (k - 1) for number in sample] for sample in x]]
        for n in range(self.layers):
            z = []
            for sample in activities[-1]:
                units = []
                for j in range(len(self.synapses[f"bias{n}"][0][0])):
                    states = []
                    for c in range(k):
                        total = sum(
                            self.weight(f"forward{n}", c, i, j) * self["ν", n][c][d] * unit[d]
                            for i, unit in [*enumerate(sample), (-1, [1.0] * k)]
                            for d in range(k)
                        )
                        states.append(self["η", n] * total)
                    units.append(states)
                z.append(units)
            name = self.rule.output if n == self.layers - 1 else self.rule.activation
            activities.append([[self.activated(unit, name) for unit in units] for units in self.norm(z, n)])
        return activities

    def activated(self, unit: list, name: str) -> list:
        return [SLOPE[name](z) if self.rule.slope and c == 1 else VALUE[name](z) for c, z in enumerate(unit)]

    def told(self, unit: list, target: float) -> list:
        second = {"label": target, "squared-error": unit[1] * (unit[0] - target)}[self.rule.feedback]
        return [unit[0], second] + [0.0] * (self.k - 2)

    def learn(self, x: list, targets: list) -> State:
        k, after = self.k, {}
        activities = self.forward(x)
        activities[-1] = [
            [self.told(unit, t) for unit, t in zip(units, target, strict=True)]
            for units, target in zip(activities[-1], targets, strict=True)
        ]
        for n in reversed(range(1, self.layers)):
            z = []
            for pre, post in zip(activities[n], activities[n + 1], strict=True):
                units = []
                for i, unit in enumerate(pre):
                    states = []
                    for c in range(k):
                        total = sum(
                            self.weight(f"backward{n}", c, j, i) * self["μ", n][c][d] * other[d]
                            for j, other in enumerate(post)
                            for d in range(k)
                        )
                        f = self["f", n]
                        kinds = {"additive": f * unit[c] + self["η", n] * total, "multiplicative": f * unit[c] * total}
                        kinds["second-state"] = kinds["multiplicative"] if c else f * unit[c]
                        states.append(kinds[self.rule.backward])
                    units.append(states)
                z.append(units)
            name = self.rule.backward_activation
            activities[n] = [[[VALUE[name](s) for s in unit] for unit in units] for units in self.norm(z, n)]
        for name, array in self.synapses.items():
            kind, n = name.rstrip("0123456789"), int(name[-1])
            first, second = activities[n], activities[n + 1]
            if kind == "backward":
                first, second = second, first
            if kind == "bias":
                first = [[[1.0] * k] for _ in first]
            after[name] = [
                [[self.changed(n, c, w, first, i, second, j) for j, w in enumerate(row)] for i, row in enumerate(rows)]
                for c, rows in enumerate(array)
            ]
        return {name: torch.tensor(array, dtype=torch.float64) for name, array in after.items()}

    def changed(self, n: int, c: int, w: float, first: list, i: int, second: list, j: int) -> float:
        k, change = self.k, 0.0
        for pre, post in zip(first, second, strict=True):
            y = sum(self["μ̃", n][c][d] * post[j][d] for d in range(k))
            change += self["η̃", n] * sum(pre[i][e] * self["ν̃", n][e][c] for e in range(k)) * y
            if self.rule.oja:
                change -= abs(self["o", n] * self["η̃", n]) * w * y * y
        if self.rule.saturation:
            return w + ((self["f̃", n] - 1) * w + change) * exp(-abs(self["s", n] * w))
        return self["f̃", n] * w + change


@pytest.mark.parametrize("name", BLURS)
@pytest.mark.parametrize("sizes", [(3, 5, 2), (2, 4, 1), (4, 2, 3)])
def test_blur_is_its_equations(name: str, sizes: tuple[int, ...], some) -> None:
    rule, seed = BLURS[name], hash((name, sizes)) % 10_000
    genomes, state, x, targets = some(rule, seed, sizes=sizes, samples=4)
    after, outputs = rule.learn(genomes, state, x, targets), rule.predict(genomes, state, x)
    for p in range(len(genomes)):
        for e in range(x.shape[1]):
            slow = Slow(rule, genomes[p], {name: array[p, e] for name, array in state.items()})
            logits = [[unit[0] for unit in units] for units in slow.forward(x[p, e].tolist())[-1]]
            expected = torch.tensor(logits, dtype=torch.float64)
            torch.testing.assert_close(outputs[p, e], expected, rtol=1e-10, atol=1e-10, msg=f"seed {seed}")
            for array, numbers in slow.learn(x[p, e].tolist(), targets[p, e].tolist()).items():
                torch.testing.assert_close(
                    after[array][p, e], numbers, rtol=1e-10, atol=1e-10, msg=f"seed {seed}, {array}"
                )


def test_genomes_have_the_papers_length() -> None:
    assert [Blur(states=k).layout.size for k in (2, 4, 8)] == [20, 68, 260]
    assert Blur(layers=3).layout.size == 60
