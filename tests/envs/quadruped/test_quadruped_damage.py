"""How damage is written."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from neuroplastic_envs.quadruped.damage import (
    KINDS,
    MODEL_NAMES,
    PLACES,
    Damage,
    DamageError,
    changes,
    format_damage,
    in_force,
    parse_damage,
)

fractions = st.floats(0, 1, exclude_min=True)
legs = st.integers(0, 3)
LATEST = 20  # steps
times = st.one_of(
    st.just((0, math.inf)),
    st.tuples(st.integers(0, LATEST), st.just(math.inf)),
    st.tuples(st.integers(0, LATEST), st.integers(0, LATEST)).filter(lambda times: times[0] < times[1]),
)


@st.composite
def damages(draw):
    kind = draw(st.sampled_from(KINDS))
    return Damage(draw(legs), kind, draw(fractions) if kind == "shorten" else 1.0, *draw(times))


def twice_at_a_time(some: list[Damage]) -> bool:
    """Whether a leg has the same kind of damage twice at any step, tried step by step."""
    for step in range(LATEST + 2):
        now = [(damage.leg, damage.kind) for damage in some if damage.start <= step < damage.end]
        if len(set(now)) < len(now):
            return True
    return False


@given(st.lists(damages(), max_size=5))
def test_what_is_formatted_is_parsed_again_unless_a_leg_has_it_twice_at_a_time(some):
    text = format_damage(tuple(some))
    if twice_at_a_time(some):
        with pytest.raises(DamageError, match="each kind once a leg at any time"):
            parse_damage(text)
    else:
        assert parse_damage(text) == tuple(sorted(some))


@given(st.lists(damages(), max_size=5))
def test_what_is_in_force_changes_only_when_it_is_said_to(some):
    some = tuple(sorted(some))
    for step in range(LATEST + 3):
        now = in_force(some, step)
        assert now == tuple(Damage(d.leg, d.kind, d.fraction) for d in some if d.start <= step < d.end)
        assert step in changes(some) or not step or now == in_force(some, step - 1)
    assert changes(some) == {t for damage in some for t in (damage.start, damage.end)} - {0, math.inf}


def test_when_damage_strikes_and_is_healed():
    assert parse_damage("front_right@300") == (Damage(3, "shorten", 0.25, 300),)
    assert parse_damage("front_left:motor_off@200-600") == (Damage(0, "motor_off", 1.0, 200, 600),)
    assert parse_damage("back_left:shorten=0.5 @ 0") == parse_damage("back_left:shorten=0.5")
    assert len(parse_damage("front_left:lock@5-9 + front_left:lock@9")) == 2


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
        ("front_left:lock@5-9+front_left:lock@8", "each kind once a leg"),
        ("front_left@", "such as 300 or 200-600; got '' in 'front_left@'"),
        ("front_left:lock@5-5", "got '5-5'"),
        ("front_left:lock@5-", "got '5-'"),
        ("front_left:lock@-5", "got '-5'"),
        ("front_left:lock@1.5", "got '1.5'"),
        ("front_left:lock@1-2-3", "got '1-2-3'"),
        ("front_left:lock@٣", "got '٣'"),
        ("front_left:lock@99999999999999999999", "got '9999"),
        (7, "expected a text such as 'front_right:shorten', or None; got 7"),
    ],
)
def test_damage_that_cannot_be_understood_is_named(text, told):
    with pytest.raises(DamageError, match="^damage: ") as caught:
        parse_damage(text)
    assert told in str(caught.value)
    assert isinstance(caught.value, ValueError)


@given(st.text(alphabet=st.sampled_from("front_lefkshodma:=+,.0125@ -"), max_size=40))
def test_any_text_is_understood_or_refused(text):
    try:
        parsed = parse_damage(text)
    except DamageError:
        return
    assert parse_damage(format_damage(parsed)) == parsed
