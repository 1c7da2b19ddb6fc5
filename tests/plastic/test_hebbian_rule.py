import itertools
import pickle
from dataclasses import FrozenInstanceError

import pytest
import torch
from by_hand import HERE

from neuroplastic.errors import ArgumentError, UnknownNameError
from neuroplastic.plastic import HebbianRule, Layer, rules

SUBSETS = ["".join(letters) for n in range(5) for letters in itertools.combinations("ABCD", n)]


@pytest.mark.parametrize("backend", HERE)
def test_b_belongs_to_pre_and_c_to_post(backend):
    """Two inputs (1, ½), three outputs (0, 2, -4), then Δw_ij = B o_i repeats along j and Δw_ij = C o_j along i."""
    weights = torch.tensor([[[0.0, 0.0], [1.0, 2.0], [-4.0, 0.0]]])
    pre, post = torch.tensor([[1.0, 0.5]]), torch.tensor([[0.0, 2.0, -4.0]])
    expected = {
        "A": [[0, 0], [2, 1], [-4, -2]],
        "B": [[1, 0.5], [1, 0.5], [1, 0.5]],
        "C": [[0, 0], [2, 2], [-4, -4]],
        "D": [[1, 1], [1, 1], [1, 1]],
    }
    for term, change in expected.items():
        for rate in (1.0, -3.0):
            rule = HebbianRule(terms=term + "+lr", initial="evolved")
            coefficients = {term: torch.ones(1, 3, 2), "lr": torch.full((1, 3, 2), rate), "W": weights}
            layer = rule.birth(Layer("layer0", 2, 3, "linear", backend), coefficients, [0])
            assert torch.equal(layer.step(pre, torch.zeros(1), torch.tensor([0])), post)
            assert torch.equal(layer.weights() - weights, rate * torch.tensor([change]))


@pytest.mark.parametrize("others", ["", "+lr", "+decay", "+lr+decay"])
@pytest.mark.parametrize("letters", SUBSETS)
@pytest.mark.parametrize("initial", ["uniform", "evolved", "evolved-normal"])
@pytest.mark.parametrize("fixed", [False, True])
def test_the_layout_names_what_evolves(letters, others, initial, fixed):
    terms = letters + others
    if terms in ("", "+lr") and (fixed or terms):
        with pytest.raises(ArgumentError, match=r"terms: expected a term|fixed: expected no such switch without terms"):
            HebbianRule(terms=terms, initial=initial, fixed=fixed)
        return
    rule = HebbianRule(terms=terms, initial=initial, fixed=fixed)
    evolving = [*letters, *filter(None, others.split("+"))]
    weights = {"evolved": ["W"], "evolved-normal": ["mean", "log_spread"]}.get(initial, [])
    assert list(rule.layout(4, 3)) == [*evolving, *weights, *["fixed", "gain"] * fixed]
    assert rule.shared == tuple(evolving)
    assert all(shape == (() if name in ("mean", "log_spread") else (3, 4)) for name, shape in rule.layout(4, 3).shapes)


def test_what_is_constant_does_not_evolve():
    oja = HebbianRule("A+lr+decay", constant="A+decay", initial="evolved")
    assert oja.shared == ("lr",)
    assert list(oja.layout(2, 3)) == ["lr", "W"]


def test_the_paper_has_five_coefficients_a_synapse():
    assert HebbianRule().layout(648, 128).size == 5 * 648 * 128


@pytest.mark.parametrize(
    "terms", ["BA", "AA", "E", "abcd", "ABCD+", "ABCD+eta", "A B", "lr", "ABCD+lr\n", "A+decay+lr", "decay"]
)
def test_terms_that_cannot_be_read(terms):
    with pytest.raises(ArgumentError, match="terms: expected"):
        HebbianRule(terms=terms)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normaliser": "rownorm"}, "normaliser: expected one of.*did you mean 'row'"),
        ({"sharing": "neurons"}, "sharing: expected one of.*did you mean 'neuron'"),
        ({"modulation": "rewards"}, "modulation: expected one of.*did you mean 'reward'"),
        ({"initial": "xavier"}, "initial: expected one of.*did you mean 'xavier-uniform'"),
        ({"initial": ""}, "initial: expected one of.*'evolved'"),
    ],
)
def test_unknown_names(options, message):
    with pytest.raises(UnknownNameError, match=message):
        HebbianRule(**options)


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_limit_that_is_none(limit):
    with pytest.raises(ArgumentError, match="limit: expected"):
        HebbianRule(normaliser="clip", limit=limit)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"constant": "E"}, "constant: expected some of 'ABCD'"),
        ({"terms": "AD", "constant": "A+lr"}, r"constant: expected some of the terms 'AD'; got 'A\+lr'"),
        ({"terms": "+lr"}, r"terms: expected a term that '\+lr' is the rate of"),
        ({"terms": "", "modulation": "reward"}, "modulation: expected no such switch without terms; got 'reward'"),
        ({"terms": "", "trace": 0.5}, "trace: expected no such switch without terms; got 0.5"),
        ({"terms": "", "every": 2}, "every: expected no such switch without terms; got 2"),
        ({"terms": "", "normaliser": "max"}, "normaliser: expected no such switch without terms; got 'max'"),
        ({"terms": "", "fixed": True}, "fixed: expected no such switch without terms; got True"),
        ({"terms": "", "sharing": "layer"}, "sharing: expected 'synapse', as no terms evolve; got 'layer'"),
        ({"terms": "A", "constant": "A", "sharing": "neuron"}, "sharing: expected 'synapse', as no terms evolve"),
        ({"sharing": "groups"}, "groups: expected a number >= 1; got 0"),
        ({"sharing": "low-rank"}, "rank: expected a number >= 1; got 0"),
        ({"groups": 4}, "groups: expected 0, as sharing is not 'groups'; got 4"),
        ({"sharing": "groups", "groups": 3, "rank": 2}, "rank: expected 0, as sharing is not 'low-rank'; got 2"),
        ({"trace": 1.0}, "trace: expected a number >= 0 and < 1; got 1.0"),
        ({"trace": -0.1}, "trace: expected"),
        ({"trace": float("nan")}, "trace: expected"),
        ({"every": 0}, "every: expected a number >= 1; got 0"),
        ({"mean_rate": 0.0}, "mean_rate: expected"),
        ({"mean_rate": 1.5}, "mean_rate: expected"),
    ],
)
def test_switches_that_make_no_sense(options, message):
    with pytest.raises(ArgumentError, match=message):
        HebbianRule(**options)


def test_rules_are_small_values():
    rule = HebbianRule(terms="AD+lr", normaliser="max")
    assert pickle.loads(pickle.dumps(rule)) == rule
    with pytest.raises(FrozenInstanceError):
        rule.terms = "A"  # pyright: ignore[reportAttributeAccessIssue]


def test_static_is_the_same_class_without_terms():
    assert rules["static"]() == HebbianRule(terms="", initial="evolved")
    assert rules["static"](initial="normal") == HebbianRule(terms="", initial="normal")
    assert list(rules["static"]().layout(2, 3)) == ["W"]
    with pytest.raises(UnknownNameError):
        rules["static"](initial="nothing")
