"""Recipes are strict, overridable, and the same after a round trip."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroplastic.errors import NeuroplasticError, RecipeError, UnknownNameError
from neuroplastic.experiment.kinds import KINDS, checked, resolved
from neuroplastic.experiment.recipe import load_recipe, override, parse_recipe, recipe_files


@pytest.mark.parametrize("name", recipe_files())
def test_a_shipped_recipe_is_complete(name: str) -> None:
    recipe = resolved(load_recipe(name))
    assert recipe.description
    assert 0 < KINDS[recipe.kind].nominal_steps(recipe) < float("inf")
    written = parse_recipe(tomllib.loads(recipe.to_toml()))
    assert written.fingerprint() == recipe.fingerprint()
    assert resolved(written) == recipe


def change(values: dict[str, Any], *words: str) -> None:
    resolved(parse_recipe(override(values, words)))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("search.sgima=0.1", r"unknown key search\.sgima.*did you mean 'sigma'"),
        ("serach.sigma=0.1", r"unknown key serach.*did you mean 'search'"),
        ("rule.sharing=3", r"rule\.sharing: expected a valid string; got 3"),
        ("rule.shraing=3", r"unknown key rule\.shraing.*did you mean 'sharing'"),
        ("merge=[]", r"merge: .*at least 1 item.*got \[\]"),
        ("merge=[{generation=1}]", r"merge\.0\.groups: expected a value; got none"),
        ("merge=[{generation=1, groups=0}]", r"merge\.0\.groups: expected greater than or equal to 1; got 0"),
        ("merge=[{generation=1.5, groups=3}]", r"merge\.0\.generation: expected a valid integer.*got 1\.5"),
        ("merge=[{generation=1, gruops=3}]", r"unknown key merge\.0\.gruops.*did you mean 'groups'"),
        ("task.horizont=3", r"unknown key task\.horizont.*did you mean 'horizon'"),
        ("search.sigma=large", r"search\.sigma: expected a valid number.*got 'large'"),
        ("search.population=8.5", r"search\.population: expected a valid integer.*got 8\.5"),
        ("task.horizon=true", r"task\.horizon: expected a valid integer.*got True"),
        ("policy.hidden=[3,x]", r"policy\.hidden: expected a valid list.*got '\[3,x\]'"),
        ("policy.front=paper", r"policy\.front: expected a valid dictionary.*got 'paper'"),
        ("policy.front.kernel=[3]", r"unknown key policy\.front\.kernel.*did you mean 'kernels'"),
        ("policy.front.pools=[2, 0.5]", r"policy\.front\.pools\.1: expected a valid integer.*got 0\.5"),
        ("generations=0", r"generations: expected greater than or equal to 1; got 0"),
        ("kind=magic", r"kind: expected one of 'evolution'.*; got 'magic'"),
        ("search.name=opneai-es", r"search\.name: expected one of.*did you mean 'openai-es'"),
        ("rule.name=os:system", r"rule\.name: expected a subclass of.*Rule"),
        ("search.name=no_such_module:Search", r"search\.name: 'no_such_module:Search' cannot be imported"),
        ("search.sigma", r"expected key=value.*got 'search\.sigma'"),
        ("seed.x=3", r"'seed' is a value, not a section"),
    ],
)
def test_what_is_wrong_is_named(tiny: dict[str, Any], word: str, message: str) -> None:
    with pytest.raises(NeuroplasticError, match=message):
        change(tiny, word)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("policy.front={}", r"front: expected observations that are pictures \[H, W, C\]; got shape \[4\]"),
        ("policy.front.strides=[1]", r"policy\.front\.strides: expected a number for each of channels"),
        ("policy.front.pools=[2, 0]", r"policy\.front\.pools: expected a number >= 1 and <= 4; got 0"),
    ],
)
def test_a_front_that_does_not_fit_is_refused_before_work_starts(tiny: dict[str, Any], word: str, message: str) -> None:
    with pytest.raises(NeuroplasticError, match=message):
        checked(parse_recipe(override(tiny, [word])))


def test_a_front_is_part_of_a_recipe_only_where_there_is_one(tiny: dict[str, Any]) -> None:
    without, with_one = parse_recipe(tiny), parse_recipe(override(tiny, ["policy.front={}"]))
    assert "front" not in without.to_toml()
    assert parse_recipe(tomllib.loads(without.to_toml())) == without
    assert tomllib.loads(with_one.to_toml())["policy"]["front"]["kernels"] == [3, 5]
    assert parse_recipe(tomllib.loads(with_one.to_toml())) == with_one
    assert without.fingerprint() != with_one.fingerprint()


def test_every_error_is_told_at_once(tiny: dict[str, Any]) -> None:
    del tiny["generations"]
    with pytest.raises(RecipeError) as caught:
        change(tiny, "task.batch=two", "policy.hiden=[4]")
    assert len(str(caught.value).splitlines()) == 3


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'quadruped-hebbian'"):
        load_recipe("quadruped-hebian")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("generations = = 3")
    with pytest.raises(RecipeError, match=r"broken\.toml: cannot be read"):
        load_recipe(broken)


keys = st.sampled_from(["a", "b", "c", "d"])
values = st.one_of(
    st.integers(-9, 9), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.lists(st.integers())
)


@given(st.dictionaries(st.tuples(keys, keys), values), st.dictionaries(st.tuples(keys, keys), values))
def test_an_override_changes_its_key_alone(before: dict, changes: dict) -> None:
    nested: dict[str, Any] = {}
    for (a, b), value in before.items():
        nested.setdefault(a, {})[b] = value
    words = [f"{a}.{b}={str(v).lower() if isinstance(v, bool) else v}" for (a, b), v in changes.items()]
    after = override(nested, words)
    assert {(a, b): v for a, part in after.items() for b, v in part.items()} == before | changes


def test_words_are_toml_or_text() -> None:
    after = override({}, ["a.b=ABCD+lr", "a.c='3'", 'v=[{}, {damage="left"}]', "f=1e-3"])
    assert after == {"a": {"b": "ABCD+lr", "c": "3"}, "v": [{}, {"damage": "left"}], "f": 1e-3}
