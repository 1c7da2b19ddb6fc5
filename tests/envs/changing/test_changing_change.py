"""How a change is written, and which step is drawn."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from neuroplastic_envs.changing.change import Change, ChangeError, parse_change

KINDS = ("mirrored", "weak", "long")
kinds, steps, spaces = st.sampled_from(KINDS), st.integers(0, 10**9 - 1), st.sampled_from(["", " "])


@given(kinds, steps, steps, spaces)
def test_what_is_written_is_read(kind, one, other, space):
    early, late = min(one, other), max(one, other)
    assert parse_change(f"{space}{kind}{space}", KINDS) == Change(kind, 0, 0)
    assert parse_change(f"{kind}{space}@{space}{one}", KINDS) == Change(kind, one, one)
    assert parse_change(f"{kind}@{space}{early}-{late}{space}", KINDS) == Change(kind, early, late)


@pytest.mark.parametrize("text", [None, "", "  "])
def test_no_change(text):
    assert parse_change(text, KINDS) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("heavy", "expected a kind, one of mirrored, weak, long; got 'heavy' in 'heavy'"),
        ("@50", "got '' in '@50'"),
        ("mirrored+weak", "got 'mirrored+weak'"),
        ("mirrored=2@50", "got 'mirrored=2' in 'mirrored=2@50'"),
        ("mirrored@", "such as 100 or 50-150; got '' in 'mirrored@'"),
        ("mirrored@150-50", "got '150-50'"),
        ("mirrored@-50", "got '-50'"),
        ("mirrored@50-", "got '50-'"),
        ("mirrored@1.5", "got '1.5'"),
        ("mirrored@1-2-3", "got '1-2-3'"),
        ("mirrored@5@6", "got '5@6'"),
        ("mirrored@٣", "got '٣'"),
        ("mirrored@1000000000", "got '1000000000'"),
        (7, "expected a text such as 'mirrored@50-150', or None; got 7"),
        (["weak"], "got ['weak']"),
    ],
)
def test_a_change_that_cannot_be_understood_is_named(text, told):
    with pytest.raises(ChangeError, match=f"^damage: .*{re.escape(told)}"):
        parse_change(text, KINDS)


@given(st.text(alphabet=st.sampled_from("miroedwkln@-0123456789 "), max_size=20))
def test_any_text_is_understood_or_refused(text):
    try:
        change = parse_change(text, KINDS)
    except ChangeError:
        return
    assert change is None or (change.kind in KINDS and change.earliest <= change.latest)


@given(st.integers(0, 2**32), st.integers(0, 1000), st.integers(0, 1000))
def test_a_step_is_drawn_in_the_range_from_the_seed_and_leaves_the_generator_as_it_was(seed, earliest, length):
    change = Change("weak", earliest, earliest + length)
    rng, twin, untouched = (np.random.default_rng(seed) for _ in range(3))
    drawn = change.draw(rng)
    assert earliest <= drawn <= earliest + length
    assert drawn == change.draw(twin)
    assert rng.random() == untouched.random()


def test_all_steps_of_a_range_are_drawn_alike():
    """2000 fixed seeds, 5 steps: 400 each, give or take five standard deviations of 18."""
    drawn = [Change("weak", 4, 8).draw(np.random.default_rng(seed)) for seed in range(2000)]
    assert sorted(set(drawn)) == [4, 5, 6, 7, 8]
    assert all(310 < drawn.count(step) < 490 for step in range(4, 9))


def test_every_life_of_a_generator_has_a_step_of_its_own():
    rng = np.random.default_rng(0)
    assert len({Change("weak", 0, 10**6).draw(rng) for _ in range(100)}) == 100
