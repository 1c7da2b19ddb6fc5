"""Damage does to the body what its name says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from neuroplastic_envs.quadruped import stock
from neuroplastic_envs.quadruped.body import FEET, model_file
from neuroplastic_envs.quadruped.bullet import pybullet
from neuroplastic_envs.quadruped.damage import KINDS, MODEL_NAMES, PLACES, parse_damage
from neuroplastic_envs.quadruped.simulation import Simulation

SIDES = {"front": 1, "back": -1, "left": 1, "right": -1}  # signs of x and y for one that walks along +x
RADIUS, LENGTH, DENSITY = (
    0.08,
    0.4 * math.sqrt(2),
    1000.0,
)  # of a foot, in m and kg/m³; Bullet ignores the file's density


def feet(damage):
    """Name of the body, mass and center of mass of each foot, hanging at the start with all joints at zero."""
    damages = parse_damage(damage)
    simulation = Simulation(damages)
    simulation.reset([0.0] * 8, damages)
    ant, client = simulation.ant, simulation.client
    found = [
        (
            pybullet.getJointInfo(ant, foot, physicsClientId=client)[12].decode(),
            pybullet.getDynamicsInfo(ant, foot, physicsClientId=client)[0],
            np.array(pybullet.getLinkState(ant, foot, physicsClientId=client)[0]),
        )
        for foot in FEET
    ]
    simulation.close()
    return found


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(PLACES), st.floats(0.01, 1.0))
def test_a_short_foot_is_at_its_place_and_as_long_and_heavy_as_it_should_be(place, fraction):
    for other, (_, mass, center) in zip(PLACES, feet(f"{place}:shorten={fraction}"), strict=True):
        remaining = fraction if other == place else 1.0
        cylinder, ball = math.pi * RADIUS**2 * LENGTH * remaining, 4 / 3 * math.pi * RADIUS**3
        assert mass == pytest.approx(DENSITY * (cylinder + ball), rel=1e-6)
        end, side = other.split("_")
        along = 0.4 + 0.2 * remaining  # two links of 0.2 m, then half of a foot of 0.4 m, on each axis
        np.testing.assert_allclose(center[:2], [SIDES[end] * along, SIDES[side] * along], atol=1e-6)


@pytest.mark.parametrize("leg", range(4))
@pytest.mark.parametrize("name", range(3))
def test_the_models_names_mean_the_models_legs(leg, name):
    masses = {foot: mass for foot, mass, _ in feet(f"{MODEL_NAMES[leg][name]}:shorten")}
    assert min(masses, key=masses.__getitem__) == MODEL_NAMES[leg][1]
    assert sorted(masses.values())[1:] == pytest.approx([13.518] * 3, rel=1e-3)


def test_the_papers_two_damaged_legs_are_in_front():
    """left_ankle_geom and fourth_ankle_geom, shortened from 0.4 to 0.1 along both axes."""
    assert parse_damage("left_ankle_geom") == parse_damage("front_left")
    assert parse_damage("fourth_ankle_geom") == parse_damage("front_right")
    for damage, sign, geom in (("front_left", "", "left_ankle_geom"), ("front_right", "-", "fourth_ankle_geom")):
        with model_file(parse_damage(damage)) as path:
            text = path.read_text()
        assert f'fromto="0.0 0.0 0.0 0.1 {sign}0.1 0.0" name="{geom}"' in text


def test_the_model_file_is_gone_afterwards_and_has_the_same_name_for_the_same_body():
    seen = []
    for damage in ("front_left", "front_left:shorten=0.25+back_left:lock", "front_right"):
        with model_file(parse_damage(damage)) as path:
            seen.append((path, path.read_bytes()))
        assert not path.parent.exists()
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[2][0]
    assert seen[0][1] != seen[2][1]


def life(env, seed, actions, **options):
    observations = [env.reset(seed=seed, options=options)[0]]
    observations += [env.step(action)[0] for action in actions]
    return np.array(observations)


@pytest.fixture
def actions(rng):
    return rng.uniform(-1, 1, (200, 8)).astype(np.float32)


def without(leg, actions):
    asked_nothing = actions.copy()
    asked_nothing[:, 2 * leg : 2 * leg + 2] = 0
    return asked_nothing


@pytest.mark.parametrize("leg", range(4))
def test_a_leg_with_its_motor_off_is_one_that_is_asked_for_nothing(make, seed, actions, leg):
    sound, damaged = make(terminate=False), make(terminate=False, damage=f"{PLACES[leg]}:motor_off")
    np.testing.assert_array_equal(life(damaged, seed, actions), life(sound, seed, without(leg, actions)))
    assert not np.array_equal(life(damaged, seed, actions), life(sound, seed, actions))


@pytest.mark.parametrize("leg", range(4))
def test_a_locked_leg_does_not_move_whatever_it_is_asked(make, seed, actions, leg):
    locked, sound = make(terminate=False, damage=f"{PLACES[leg]}:lock"), make(terminate=False)
    mine = slice(8 + 4 * leg, 12 + 4 * leg, 2)  # its two angles, -1 to 1 between their limits
    angles = life(locked, seed, actions)[:, mine]
    assert (np.abs(angles) <= 1.0 + 0.1).all()
    assert np.abs(angles - angles[0]).max() < 0.1
    assert np.ptp(life(sound, seed, actions)[:, mine]) > 0.5
    np.testing.assert_array_equal(life(locked, seed, actions), life(locked, seed, without(leg, actions)))


def test_a_leg_is_locked_where_it_starts(make):
    start = [0.3, 1.0, 0, -1, 0, -1, 0, 1]
    env = make(terminate=False, damage="front_left:lock").unwrapped
    env.reset(options={"joints": start})
    for _ in range(100):
        env.step(np.zeros(8, np.float32))
    hip, _, ankle, _ = env._ants.simulations[0].read()[stock.JOINTS : stock.JOINTS + 4]
    assert [hip, ankle] == pytest.approx(start[:2], abs=0.02)


def test_all_of_a_length_is_no_damage_and_less_is(make, seed, actions):
    sound = life(make(terminate=False), seed, actions)
    for damage, same in (("front_left:shorten=1", True), ("front_left:shorten=0.9", False)):
        assert np.array_equal(life(make(terminate=False, damage=damage), seed, actions), sound) == same


@pytest.mark.parametrize("kind", KINDS)
def test_damage_for_one_episode(make, seed, actions, kind):
    damage = f"back_right:{kind}+front_left:motor_off"
    env, damaged = make(terminate=False), make(terminate=False, damage=damage)
    before = life(env, seed, actions)
    np.testing.assert_array_equal(life(env, seed, actions, damage=damage), life(damaged, seed, actions))
    np.testing.assert_array_equal(life(env, seed, actions), before)
    np.testing.assert_array_equal(life(damaged, seed, actions, damage=None), before)
