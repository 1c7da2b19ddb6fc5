"""Plastic networks once more, in float64 and one life at a time: written from the equations, to compare with."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import strategies as st

from neuroplastic.noise import normal, stream
from neuroplastic.plastic import HebbianRule, PlasticNetwork
from neuroplastic.plastic.initial import draw
from neuroplastic.plastic.kernels import BACKENDS, NORMALISERS
from neuroplastic.plastic.modulation import MODULATIONS

ACTIVATIONS = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "linear": lambda x: x,
}


class Layer:
    """Weights [O, I] of one life."""

    def __init__(self, rule, activation, weights, arrays):
        self.rule, self.f, self.w, self.c = rule, ACTIVATIONS[activation], weights.copy(), arrays
        self.e, self.seen, self.frozen = np.zeros_like(weights), [], None

    def effective(self):
        if self.frozen is not None:
            return self.frozen
        return self.c["fixed"] + self.c["gain"] * self.w if self.rule.fixed else self.w

    def forward(self, pre):
        return self.f(self.effective() @ pre)

    def coefficient(self, name):
        letters, *others = self.rule.terms.split("+")
        constant_letters, *constant_others = self.rule.constant.split("+")
        if name not in [*letters, *others]:
            return 1.0 if name == "lr" else 0.0
        return 1.0 if name in [*constant_letters, *constant_others] else self.c[name]

    def learn(self, pre, post, m):
        if not self.rule.terms or self.frozen is not None:
            return
        self.seen.append((pre, post, m))
        if len(self.seen) < self.rule.every:
            return
        o_i, o_j, m = (np.mean([each[n] for each in self.seen], axis=0) for n in range(3))
        self.seen = []
        A, B, C, D, K = (self.coefficient(name) for name in ("A", "B", "C", "D", "decay"))
        o_j = o_j[:, None]
        change = self.coefficient("lr") * (A * o_i * o_j + B * o_i + C * o_j + D - K * o_j * o_j * self.w)
        self.e = self.rule.trace * self.e + change
        self.w = normalised(self.w + m * self.e, self.rule.normaliser, self.rule.limit)


def normalised(w, normaliser, limit):
    if normaliser == "clip":
        return np.clip(w, -limit, limit)
    if normaliser == "standardise":
        w = w - w.mean()
    divisors = {
        "none": 1.0,
        "max": np.abs(w).max(),
        "row": np.sqrt((w * w).sum(axis=1, keepdims=True)),
        "standardise": w.std(),
    }
    divisor = divisors[normaliser]
    return w / np.where(divisor == 0, 1.0, divisor)


class Network:
    """One life of a `PlasticNetwork`; ``births`` are its weights at birth, layer -> [O, I]."""

    def __init__(self, network, options, genome, births):
        arrays = {name: part.double().numpy() for name, part in network.layout.split(genome).items()}
        self.kind, self.bias, self.rule = options["kind"], options["bias"], network.rule
        self.depth, self.mean = len(options["hidden"]), 0.0
        self.h = [np.zeros(size) for size in options["hidden"]]
        self.layers = {}
        for name, weights in births.items():
            own = {key.removeprefix(f"{name}."): a for key, a in arrays.items() if key.startswith(f"{name}.")}
            last = name == f"layer{self.depth}"
            gate = "reset" in name or "update" in name
            f = "sigmoid" if gate else options["output_activation" if last else "activation"]
            self.layers[name] = Layer(network.rule, f, np.asarray(weights, float), own)

    def act(self, x, reward):
        acted = []

        def through(name, *parts):
            pre = np.concatenate([*parts, [1.0] * self.bias])
            post = self.layers[name].forward(pre)
            acted.append((self.layers[name], pre, post))
            return post

        for n in range(self.depth):
            h, name = self.h[n], f"layer{n}"
            if self.kind == "feedforward":
                x = through(name, x)
            elif self.kind == "recurrent":
                x = through(name, x, h)
            else:
                r, z = through(f"{name}.reset", x, h), through(f"{name}.update", x, h)
                x = z * h + (1 - z) * through(f"{name}.candidate", x, r * h)
            self.h[n] = x
        unit = x[-1]
        x = through(f"layer{self.depth}", x)
        m = {"none": 1.0, "reward": reward, "unit": unit, "reward-prediction-error": reward - self.mean}
        self.mean += self.rule.mean_rate * (reward - self.mean)
        for layer, pre, post in acted:
            layer.learn(pre, post, m[self.rule.modulation])
        return x

    def weights(self):
        return {name: layer.effective() for name, layer in self.layers.items()}


def births(network, genome, seed):
    """w at the birth of a life: layer -> [O, I]."""
    parts = {name: part.double().numpy() for name, part in network.layout.split(genome).items()}
    found, initial = {}, network.rule.initial
    for layer in network.layers:
        name, shape = layer.name, (layer.outputs, layer.inputs)
        if initial == "evolved":
            found[name] = parts[f"{name}.W"]
        elif initial == "evolved-normal":
            noise = normal(stream(seed, "birth", name), layer.outputs * layer.inputs).double().numpy()
            found[name] = parts[f"{name}.mean"] + np.exp(parts[f"{name}.log_spread"]) * noise.reshape(shape)
        else:
            found[name] = draw(initial, name, layer.inputs, layer.outputs, [seed])[0].double().numpy()
    return found


TERMS = {"ABCD+lr": "", "AD": "", "B+lr+decay": "", "C": "", "A+lr+decay": "A+decay", "+decay": ""}
RULE = {
    "terms": [*TERMS],
    "normaliser": NORMALISERS,
    "initial": ["uniform", "evolved", "evolved-normal"],
    "modulation": MODULATIONS,
    "trace": [0.0, 0.7],
    "every": [1, 3],
    "fixed": [False, True],
}
NETWORK = {
    "kind": ["feedforward", "recurrent", "gru"],
    "bias": [False, True],
    "activation": [*ACTIVATIONS],
    "output_activation": ["tanh", "linear"],
}


HERE = [backend for backend in BACKENDS if backend != "gpu" or not torch.cuda.is_available()]
"""Backends that compute with tensors of the CPU; where there is a GPU, the tests of `gpu/` say the same of its own."""


def check_normalisers(layer_of, device: str | torch.device = "cpu"):
    """D alone adds to the weights, as a kernel's layer holds them; the numbers are exact in binary."""
    weights = torch.tensor([[[1.0, -1.0], [2.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]], device=device)
    change = torch.tensor([[[2.0, 5.0], [-10.0, 6.0]], [[0.0, 0.0], [0.0, 0.0]]], device=device)
    expected = {  # of [3, 4], [-8, 6] and nothing
        "none": [[3, 4], [-8, 6]],
        "max": [[0.375, 0.5], [-1, 0.75]],
        "row": [[0.6, 0.8], [-0.8, 0.6]],
        "clip": [[3, 3.5], [-3.5, 3.5]],
        "standardise": [[1.75, 2.75], [-9.25, 4.75]],  # before the division by sqrt(118.75 / 4)
    }
    pre, signal, rows = (number.to(device) for number in (torch.ones(2, 2), torch.zeros(2), torch.arange(2)))
    for normaliser, wanted in expected.items():
        layer = layer_of(weights, {"D": change}, "tanh", normaliser, 3.5)
        assert torch.equal(layer.weights(), weights)  # birth is not normalised
        layer.step(pre, signal, rows)
        divisor = math.sqrt(29.6875) if normaliser == "standardise" else 1
        found = layer.weights().cpu()
        torch.testing.assert_close(found[0], torch.tensor(wanted, dtype=torch.float32) / divisor)
        assert torch.equal(found[1], torch.zeros(2, 2))  # a largest weight of 0 divides nothing


def any_floats(number, generator):
    """Fresh floats of all sizes, from their bits, as many between 0 and 12, and infinity; and all of them below 0."""
    bits = torch.randint(0, 0x7F800000, (number,), generator=generator, dtype=torch.int32)
    x = torch.cat([bits.view(torch.float32), torch.linspace(0, 12, number), torch.tensor([math.inf])])
    return torch.cat([x, -x])


def check_tanh(found, x):
    """tanh(x) in float32 is accurate."""
    tanh, exact = found.double(), x.double().tanh()
    normal = x.abs() > 1e-37  # below, floats are denormal and have fewer digits
    assert ((tanh - exact).abs() <= 1e-6 * exact.abs())[normal].all()
    assert (tanh - exact).abs().max() < 3e-7


def tame(choice):
    """Units without bound that feed back into themselves may grow without bound, and then nothing can be compared."""
    feeds_back = choice["kind"] != "feedforward" or choice["modulation"] == "unit" or "decay" in choice["terms"]
    return choice["activation"] in ("tanh", "sigmoid") or not feeds_back


def rule_of(choice):
    """The rule of a choice of values of RULE."""
    own = {name: choice[name] for name in RULE}
    return HebbianRule(**own, constant=TERMS[own["terms"]], limit=0.4, mean_rate=0.3)


def networks(choice, backends, inputs=4, outputs=3, hidden=(5, 4)):
    """A network of those switches for each (backend, dtype), and the options that they have in common."""
    options = {name: choice[name] for name in NETWORK} | {"hidden": hidden}
    made = [
        PlasticNetwork(inputs, outputs, rule=rule_of(choice), backend=backend, dtype=dtype, **options)
        for backend, dtype in backends
    ]
    return made, options


rules = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in RULE.items()}).map(rule_of)
choices = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in {**RULE, **NETWORK}.items()}).filter(
    tame
)


def genomes_of(network, number, random):
    """Fresh genomes [number, D] that learn at a pace at which rounding does not grow much in a hundred steps."""
    genomes = torch.from_numpy(random.normal(0, 0.1, (number, network.layout.size))).float()
    for name, part in network.layout.split(genomes).items():
        array = name.rpartition(".")[2]
        part += {"log_spread": -2, "gain": 1}.get(array, 0)
        if array in "ABCD" and "+lr" not in network.rule.terms:
            part *= 0.1
        if array in ("lr", "decay"):
            part.abs_()  # a decay below 0 is growth
    return genomes
