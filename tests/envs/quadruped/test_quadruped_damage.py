"""How damage is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from neuroplastic_envs.quadruped.damage import (
    KINDS,
    MODEL_NAMES,
    PLACES,
    Damage,
    DamageError,
    format_damage,
    parse_damage,
)

fractions = st.floats(0, 1, exclude_min=True)
legs = st.integers(0, 3)
damages = st.one_of(
    st.builds(Damage, legs, st.just("shorten"), fractions),
    st.builds(Damage, legs, st.sampled_from(["motor_off", "lock"])),
)


@given(st.lists(damages, unique_by=lambda damage: (damage.leg, damage.kind)))
def test_what_is_formatted_is_parsed_again(some):
    parsed = parse_damage(format_damage(tuple(some)))
    assert parsed == tuple(sorted(some))
    assert parse_damage(format_damage(parsed)) == parsed


@given(legs, st.sampled_from(KINDS), st.sampled_from("+,"), st.sampled_from(["", " "]), st.data())
def test_every_name_of_a_leg_means_that_leg(leg, kind, joint, space, data):
    name = data.draw(st.sampled_from([PLACES[leg], *MODEL_NAMES[leg]]))
    other = PLACES[(leg + 1) % 4]
    text = f"{space}{name}:{kind}{space}{joint}{space}{other}:lock"
    assert parse_damage(text) == parse_damage(f"{other}:lock+{PLACES[leg]}:{kind}")
    assert Damage(leg, kind, 0.25 if kind == "shorten" else 1.0) in parse_damage(text)


def test_a_leg_alone_has_the_papers_damage():
    assert (
        parse_damage("front_right") == parse_damage("fourth_ankle_geom:shorten=0.25") == (Damage(3, "shorten", 0.25),)
    )


@pytest.mark.parametrize("text", [None, "", "  "])
def test_no_damage(text):
    assert parse_damage(text) == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("front", "one of front_left, back_left, back_right, front_right, front_left_leg"),
        ("hip_1:lock", "expected a leg"),
        ("front_left:", "one of shorten, motor_off, lock; got ''"),
        ("front_left:broken", "one of shorten, motor_off, lock; got 'broken'"),
        ("front_left:lock=0.5", "expected no fraction with lock"),
        ("front_left:shorten=0", "> 0 and <= 1; got '0'"),
        ("front_left:shorten=1.01", "got '1.01'"),
        ("front_left:shorten=-1", "got '-1'"),
        ("front_left:shorten=nan", "got 'nan'"),
        ("front_left:shorten=half", "got 'half'"),
        ("front_left:shorten=", "got ''"),
        ("front_left+", "expected a leg"),
        ("front_left+left_ankle_geom:shorten=0.5", "each kind once a leg"),
        (7, "expected a text such as 'front_right:shorten', or None; got 7"),
    ],
)
def test_damage_that_cannot_be_understood_is_named(text, told):
    with pytest.raises(DamageError, match="^damage: ") as caught:
        parse_damage(text)
    assert told in str(caught.value)
    assert isinstance(caught.value, ValueError)


@given(st.text(alphabet=st.sampled_from("front_lefkshodma:=+,.0125 -"), max_size=40))
def test_any_text_is_understood_or_refused(text):
    try:
        parsed = parse_damage(text)
    except DamageError:
        return
    assert parse_damage(format_damage(parsed)) == parsed
