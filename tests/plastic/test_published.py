"""Each published rule against its formula, written out for a network of two layers (float64 on the reference)."""

import numpy as np
import pytest
import torch

from neuroplastic.plastic import HebbianRule, PlasticNetwork
from neuroplastic.plastic.initial import draw
from neuroplastic.plastic.published import PUBLISHED

INPUTS, HIDDEN, OUTPUTS, STEPS = 4, 3, 2, 12


class Life:
    """What a formula may use of one layer: w [O, I], coefficients by name, x [I], y [O], and the reward and unit m."""

    def __init__(self, w, coefficients):
        self.w, self.c, self.e, self.mean, self.seen = w, coefficients, 0 * w, 0.0, []

    def __getattr__(self, name):
        return self.c[name]

    def abcd(self, x, y):
        x, y = x[None, :], y[:, None]
        return self.lr * (self.A * x * y + self.B * x + self.C * y + self.D)


def najarro_risi(life, x, y, reward, unit):
    life.w = life.w + life.abcd(x, y)


def oja(life, x, y, reward, unit):
    y = y[:, None]
    life.w = life.w + life.lr * y * (x - y * life.w)


def reward_modulated(life, x, y, reward, unit):
    life.e = 0.9 * life.e + life.abcd(x, y)
    life.w = life.w + (reward - life.mean) * life.e
    life.mean = 0.9 * life.mean + 0.1 * reward


def backpropamine(life, x, y, reward, unit):
    life.w = np.clip(life.w + unit * np.outer(y, x), -1, 1)


def averaged_clock(life, x, y, reward, unit):
    life.seen.append((x, y))
    if len(life.seen) == 5:
        w = life.w + life.abcd(*(sum(each) / 5 for each in zip(*life.seen, strict=True)))
        life.w, life.seen = w / np.abs(w).max(), []


FORMULAS = {
    "hebbian-abcd": najarro_risi,
    "evolve-and-merge": najarro_risi,  # until the merge
    "oja": oja,
    "reward-modulated": reward_modulated,
    "backpropamine": backpropamine,
    "averaged-clock": averaged_clock,
    "static": lambda life, x, y, reward, unit: None,
}
BACKENDS = [("reference", torch.float64, 1e-12), ("cpu", torch.float32, 1e-5)]


def network_of(name, backend, dtype):
    published = PUBLISHED[name]
    return PlasticNetwork(
        INPUTS, OUTPUTS, [HIDDEN], rule=published.rule(), backend=backend, dtype=dtype, **published.network
    )


def test_every_published_rule_has_its_formula_here_or_with_its_codec():
    assert {*PUBLISHED} == {*FORMULAS, "static-gru", "nchl", "hebbian-shared"}


@pytest.mark.parametrize(("backend", "dtype", "limit"), BACKENDS, ids=["reference", "cpu"])
@pytest.mark.parametrize("name", FORMULAS)
def test_the_formula(name, backend, dtype, limit, generator):
    network = network_of(name, backend, dtype)
    genomes = 0.3 * torch.randn(1, network.layout.size, generator=generator)
    network.birth(genomes, [7])
    parts, lives = network.layout.split(genomes[0].double()), []
    for n, (inputs, outputs) in enumerate([(INPUTS, HIDDEN), (HIDDEN, OUTPUTS)]):
        own = {key.removeprefix(f"layer{n}."): part.numpy() for key, part in parts.items() if f"layer{n}." in key}
        assert isinstance(network.rule, HebbianRule)
        initial = network.rule.initial
        w = own["W"] if initial == "evolved" else draw(initial, f"layer{n}", inputs, outputs, [7])[0].double().numpy()
        lives.append(Life(w, own))
    for _ in range(STEPS):
        x, reward = torch.randn(1, INPUTS, generator=generator), torch.randn(1, generator=generator)
        found = network.act(x, reward, [0])
        activity = [x[0].double().numpy()]
        for life in lives:
            v = life.fixed + life.gain * life.w if name == "backpropamine" else life.w
            activity.append(np.tanh(v @ activity[-1]))
        for n, life in enumerate(lives):
            FORMULAS[name](life, activity[n], activity[n + 1], float(reward[0]), activity[1][-1])
        np.testing.assert_allclose(found[0], activity[-1], rtol=limit, atol=limit)
    for life, w in zip(lives, network.weights().values(), strict=True):
        v = life.fixed + life.gain * life.w if name == "backpropamine" else life.w
        np.testing.assert_allclose(w[0], v, rtol=limit, atol=limit)


@pytest.mark.parametrize(("backend", "dtype", "limit"), BACKENDS, ids=["reference", "cpu"])
def test_the_gated_recurrent_unit_of_cho(backend, dtype, limit, generator):
    """Eqs. 5 to 8. With the reset gate at 1 it is torch's too, which resets behind the synapses, not before them."""
    network = network_of("static-gru", backend, dtype)
    genomes = torch.randn(1, network.layout.size, generator=generator)
    W = {name: part[0].double() for name, part in network.layout.split(genomes).items()}
    network.birth(genomes, [0])
    h = torch.zeros(HIDDEN, dtype=torch.float64)
    for _ in range(STEPS):
        x = torch.randn(1, INPUTS, generator=generator)
        found = network.act(x, torch.zeros(1), [0])
        both = torch.cat([x[0].double(), h])
        r = torch.sigmoid(W["layer0.reset.W"] @ both)
        z = torch.sigmoid(W["layer0.update.W"] @ both)
        n = torch.tanh(W["layer0.candidate.W"] @ torch.cat([x[0].double(), r * h]))
        h = z * h + (1 - z) * n
        np.testing.assert_allclose(found[0], torch.tanh(W["layer1.W"] @ h), rtol=limit, atol=limit)


def test_the_gated_recurrent_unit_of_torch(generator):
    """A reset gate that a bias holds open makes both the same."""
    network = PlasticNetwork(
        INPUTS, HIDDEN, [HIDDEN], rule=PUBLISHED["static-gru"].rule(), kind="gru", bias=True, output_activation="linear"
    )
    genomes = torch.randn(1, network.layout.size, generator=generator)
    W = {name: part[0] for name, part in network.layout.split(genomes).items()}
    W["layer0.reset.W"].zero_()[:, -1] = 50.0
    W["layer1.W"].copy_(torch.eye(HIDDEN, HIDDEN + 1))  # what comes out is h
    cell = torch.nn.GRUCell(INPUTS, HIDDEN)
    gates = [W[f"layer0.{gate}.W"] for gate in ("reset", "update", "candidate")]
    with torch.no_grad():
        cell.weight_ih.copy_(torch.cat([gate[:, :INPUTS] for gate in gates]))
        cell.weight_hh.copy_(torch.cat([gate[:, INPUTS:-1] for gate in gates]))
        cell.bias_ih.copy_(torch.cat([gate[:, -1] for gate in gates]))
        cell.bias_hh.zero_()
    network.birth(genomes, [0])
    h = torch.zeros(1, HIDDEN)
    for _ in range(STEPS):
        x = torch.randn(1, INPUTS, generator=generator)
        h = cell(x, h).detach()
        torch.testing.assert_close(network.act(x, torch.zeros(1), [0]), h, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_oja_finds_the_first_principal_component(backend, generator):
    """Inputs Σ_k ± s_k q_k with all signs, in turns: q_k are the principal components, of variances s_k²."""
    q, _ = torch.linalg.qr(torch.randn(4, 4, generator=generator))
    spread = torch.tensor([1.0, 0.5, 0.3, 0.1])
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 4)
    inputs = (signs * spread) @ q.T
    rule = PUBLISHED["oja"].rule()
    network = PlasticNetwork(4, 1, rule=rule, output_activation="linear", backend=backend)
    genomes = torch.full((1, network.layout.size), 0.01)  # η
    network.birth(genomes, [int(torch.randint(2**31, (), generator=generator))])
    for _ in range(300):
        for x in inputs:
            network.act(x[None], torch.zeros(1), [0])
    w = network.weights()["layer0"][0, 0]
    assert abs(float(w @ q[:, 0])) > 0.99
    assert abs(float(w.norm()) - 1) < 0.02
