import itertools
import pickle
from dataclasses import FrozenInstanceError

import pytest
import torch

from neuroplastic.errors import ArgumentError, UnknownNameError
from neuroplastic.plastic import HebbianRule, Layer, rules
from neuroplastic.plastic.kernels import BACKENDS

SUBSETS = ["".join(letters) for n in range(5) for letters in itertools.combinations("ABCD", n)]


@pytest.mark.parametrize("backend", BACKENDS)
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


@pytest.mark.parametrize("rate", ["", "+lr"])
@pytest.mark.parametrize("letters", SUBSETS)
@pytest.mark.parametrize("initial", ["uniform", "evolved"])
def test_the_layout_names_what_evolves(letters, rate, initial):
    layout = HebbianRule(terms=letters + rate, initial=initial).layout(4, 3)
    assert list(layout) == [*letters, *["lr"] * bool(rate), *["W"] * (initial == "evolved")]
    assert all(shape == (3, 4) for _, shape in layout.shapes)


def test_the_paper_has_five_coefficients_a_synapse():
    assert HebbianRule().layout(648, 128).size == 5 * 648 * 128


@pytest.mark.parametrize("terms", ["BA", "AA", "E", "abcd", "ABCD+", "ABCD+eta", "A B", "lr", "ABCD+lr\n"])
def test_terms_that_cannot_be_read(terms):
    with pytest.raises(ArgumentError, match="terms: expected"):
        HebbianRule(terms=terms)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normaliser": "rownorm"}, "normaliser: expected one of.*did you mean 'row'"),
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
