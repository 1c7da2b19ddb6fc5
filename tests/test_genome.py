"""Layout against plain slicing."""

import json
import pickle
from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroplastic.errors import ArgumentError, ShapeError
from neuroplastic.genome import Identity, Layout

shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)
layouts = st.dictionaries(st.text(), shapes, max_size=5).map(lambda parts: Layout(tuple(parts.items())))
leads = st.lists(st.integers(0, 3), max_size=3)


def genomes_of(layout: Layout, lead: list[int]) -> torch.Tensor:
    return torch.arange(prod(lead) * layout.size, dtype=torch.float32).view(*lead, layout.size)


@given(layouts, leads)
def test_split_is_slicing_in_order(layout, lead):
    genomes = genomes_of(layout, lead)
    parts, start = layout.split(genomes), 0
    assert list(parts) == list(layout) == [name for name, _ in layout.shapes]
    for name, shape in layout.shapes:
        expected = genomes[..., start : start + prod(shape)]
        assert parts[name].shape == (*lead, *shape)
        assert parts[name].flatten().tolist() == expected.flatten().tolist()
        start += prod(shape)
    assert start == layout.size


@given(layouts, leads)
def test_join_takes_split_back(layout, lead):
    genomes = genomes_of(layout, lead)
    joined = layout.join(dict(reversed(layout.split(genomes).items())))
    if layout.shapes:
        assert torch.equal(joined, genomes)
    else:
        assert joined.numel() == 0


@given(layouts, st.sampled_from(["columns", "strides", "one row for all"]))
def test_split_gives_views_of_any_genomes(layout, kind):
    if kind == "columns":
        genomes = torch.zeros(layout.size, 3).T
    elif kind == "strides":
        genomes = torch.zeros(3, 2 * layout.size)[:, ::2]
    else:
        genomes = torch.zeros(layout.size).expand(3, -1)
    for number, part in enumerate(layout.split(genomes).values(), start=1):
        part[:1].fill_(number)
    expected = [number for number, (_, shape) in enumerate(layout.shapes, start=1) for _ in range(prod(shape))]
    assert genomes[0].tolist() == expected


@given(layouts)
def test_json_and_pickle_keep_it(layout):
    for copy in (Layout.from_json(json.loads(json.dumps(layout.to_json()))), pickle.loads(pickle.dumps(layout))):
        assert copy == layout
        assert hash(copy) == hash(layout)
        assert copy.slices == layout.slices


@given(st.dictionaries(st.from_regex(r"\A[a-z]+\Z"), layouts, max_size=3))
def test_nest_puts_one_after_the_other(parts):
    nested = Layout.nest(parts)
    genome = torch.arange(float(nested.size))
    pieces = dict(zip(parts, genome.split([part.size for part in parts.values()]), strict=True))
    for name, array in nested.split(genome).items():
        prefix, _, rest = name.partition(".")
        assert torch.equal(array, parts[prefix].split(pieces[prefix])[rest])
    assert nested.size == sum(part.size for part in parts.values())


LAYOUT = Layout((("A", (2, 3)), ("b", ()), ("C", (4,))))


@pytest.mark.parametrize("shape", [(10,), (12,), (11, 1), ()])
def test_genomes_of_another_length_are_refused(shape):
    with pytest.raises(ShapeError, match=r"genomes: expected shape \[\.\.\., 11\]"):
        LAYOUT.split(torch.zeros(shape))


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"A": torch.zeros(3, 2)}, ShapeError),
        ({"A": torch.zeros(3)}, ShapeError),
        ({"A": torch.zeros(5, 2, 3)}, ShapeError),
        ({"C": torch.zeros(1, 4)}, ShapeError),
        ({"C": torch.tensor(0.0)}, ShapeError),
        ({"D": torch.zeros(4)}, ArgumentError),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changed, error):
    arrays = LAYOUT.split(torch.zeros(11))
    with pytest.raises(error, match="arrays"):
        LAYOUT.join(arrays | changed)
    with pytest.raises(ArgumentError, match="arrays: expected the names"):
        LAYOUT.join({"A": arrays["A"]})


@pytest.mark.parametrize("shapes", [(("A", (1,)), ("A", (2,))), (("A", (2, -1)),)])
def test_layouts_that_cannot_be_are_refused(shapes):
    with pytest.raises(ArgumentError, match="layout: expected"):
        Layout(shapes)


def test_names_that_meet_when_nested_are_refused():
    inner = Layout((("c", (1,)),))
    with pytest.raises(ArgumentError, match=r"'a\.b\.c' twice"):
        Layout.nest({"a": Layout.nest({"b": inner}), "a.b": inner})


def test_the_identity_gives_what_it_was_given() -> None:
    layout = Layout((("A", (2, 3)), ("b", ())))
    vectors = torch.randn(4, 7)
    assert Identity(layout).decode(vectors) is vectors
    assert Identity(layout).state_dict() == {}
    for shape in [(7,), (4, 6)]:
        with pytest.raises(ShapeError, match=r"vectors: expected shape \[p, 7\]"):
            Identity(layout).decode(torch.zeros(shape))
