"""Damage that strikes and is healed in mid-life."""

import numpy as np
import pytest
from neuroplastic_envs.quadruped.body import FEET, JOINTS, LINKS
from neuroplastic_envs.quadruped.bullet import pybullet
from neuroplastic_envs.quadruped.damage import KINDS, PLACES, parse_damage
from neuroplastic_envs.quadruped.simulation import GRAVITY, Simulation

STEPS = 150


@pytest.fixture
def gait(rng):
    """Actions [STEPS, 8] that swing all joints."""
    steps = np.arange(STEPS)[:, None]
    swing = np.sin(steps * rng.uniform(0.05, 0.5, 8) + rng.uniform(0, 2 * np.pi, 8))
    return (swing * rng.uniform(0.2, 1)).astype(np.float32)


@pytest.fixture
def life(make, seed):
    """Lives with given actions and damage: all observations [steps + 1, 28], rewards and distances [steps]."""
    env = make(terminate=False)

    def life(actions, damage=None):
        observations, rewards, distances = [env.reset(seed=seed, options={"damage": damage})[0]], [], []
        for action in actions:
            observation, reward, *_, info = env.step(action)
            observations.append(observation)
            rewards.append(reward)
            distances.append(info["distance"])
        return np.array(observations), np.array(rewards), np.array(distances)

    return life


def angles_of(leg, observations):
    return observations[:, 8 + 4 * leg : 12 + 4 * leg : 2]


@pytest.fixture
def strikes(rng):
    return int(rng.integers(10, 70))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_different_before_it_strikes(life, gait, strikes, rng, kind):
    sound, *_ = life(gait)
    damaged, *_ = life(gait, f"{rng.choice(PLACES)}:{kind}@{strikes}")
    np.testing.assert_array_equal(damaged[: strikes + 1], sound[: strikes + 1])
    assert not np.array_equal(damaged[strikes + 1 :], sound[strikes + 1 :])


@pytest.mark.parametrize("kind", KINDS)
def test_what_strikes_at_the_reset_is_damage_from_birth(life, gait, rng, kind):
    leg = rng.choice(PLACES)
    for one, other in zip(life(gait, f"{leg}:{kind}@0"), life(gait, f"{leg}:{kind}"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_motor_that_is_off_for_a_while_is_asked_for_nothing_meanwhile(life, gait, strikes, rng):
    leg, healed = int(rng.integers(4)), strikes + int(rng.integers(1, 60))
    asked = gait.copy()
    asked[strikes:healed, 2 * leg : 2 * leg + 2] = 0
    off, rewards, distances = life(gait, f"{PLACES[leg]}:motor_off@{strikes}-{healed}")
    np.testing.assert_array_equal(off, life(asked)[0])
    np.testing.assert_array_equal(rewards, life(asked)[1])
    np.testing.assert_array_equal(distances, life(asked)[2])


def test_a_leg_that_is_locked_stays_where_it_is_until_it_is_healed(life, gait, rng):
    leg, (strikes, healed) = int(rng.integers(4)), (3, 20)  # early, while the legs hang free
    gait[healed:, 2 * leg : 2 * leg + 2] = np.where(np.arange(healed, STEPS) // 20 % 2, 1, -1)[:, None]
    # another leg's body changes meanwhile, and this leg stays locked where it was
    observations, *_ = life(gait, f"{PLACES[leg]}:lock@{strikes}-{healed}+{PLACES[leg - 1]}:shorten@8-14")
    angles = angles_of(leg, observations)
    assert np.abs(angles[strikes + 1 : healed + 1] - angles[strikes]).max() < 0.1
    assert np.ptp(angles[healed + 1 :], axis=0).max() > 0.3


def test_all_of_a_length_is_no_damage_in_mid_life_either(life, gait, strikes):
    sound, *_ = life(gait)
    np.testing.assert_array_equal(life(gait, f"front_left:shorten=1@{strikes}")[0], sound)


def test_a_swap_alone_is_no_disturbance(life, gait, strikes):
    """A body that is shorter by a hair lives on as the old one would."""
    sound, rewards, distances = life(gait[: strikes + 5])
    swapped = life(gait[: strikes + 5], f"front_left:shorten={1 - 1e-9}@{strikes}")
    np.testing.assert_allclose(swapped[0], sound, atol=1e-5)
    np.testing.assert_allclose(swapped[1], rewards, atol=1e-4)
    np.testing.assert_allclose(swapped[2], distances, atol=1e-6)


def whole_state(simulation: Simulation):
    """Position, orientation, velocity and rotation of the torso, angles and speeds of the joints."""
    client, ant = simulation.client, simulation.ant
    joints = pybullet.getJointStates(ant, JOINTS, physicsClientId=client)
    return [
        np.array(part)
        for part in (
            *pybullet.getBasePositionAndOrientation(ant, physicsClientId=client),
            *pybullet.getBaseVelocity(ant, physicsClientId=client),
            [joint[0] for joint in joints],
            [joint[1] for joint in joints],
        )
    ]


def clearance(simulation: Simulation, leg: int) -> float:
    """Distance of a foot from the floor in m, by Bullet's own search; negative inside of it."""
    found = pybullet.getClosestPoints(
        simulation.ant, simulation.floor, 1.0, linkIndexA=FEET[leg], physicsClientId=simulation.client
    )
    return min((point[8] for point in found), default=1.0)


def energy(simulation: Simulation) -> float:
    """Of the ant's motion and height, in J/kg."""
    client, ant = simulation.client, simulation.ant
    base = *pybullet.getBasePositionAndOrientation(ant, client), *pybullet.getBaseVelocity(ant, client)
    states = pybullet.getLinkStates(ant, LINKS, computeLinkVelocity=1, physicsClientId=client)
    energies, masses = [], []
    for link, (position, orientation, velocity, spin) in zip(
        (-1, *LINKS), [base, *((*state[:2], *state[6:8]) for state in states)], strict=True
    ):
        mass, _, inertia, *_ = pybullet.getDynamicsInfo(ant, link, physicsClientId=client)
        axes = np.reshape(pybullet.getMatrixFromQuaternion(orientation), (3, 3))
        turning = np.dot(inertia, (spin @ axes) ** 2)
        energies.append(mass * (GRAVITY * position[2] + np.dot(velocity, velocity) / 2) + turning / 2)
        masses.append(mass)
    return sum(energies) / sum(masses)


@pytest.mark.parametrize("repetition", range(4))
@pytest.mark.parametrize("leg", range(4))
def test_a_body_is_swapped_as_it_is_and_healed_without_being_thrown(rng, gait, leg, repetition):
    short = parse_damage(f"{PLACES[leg]}:shorten=0.1")
    simulation = Simulation()
    simulation.reset(rng.uniform(-0.1, 0.1, 8).tolist())
    torques_of_all, healed = 250.0 * gait[:140], 0.0
    torques_of_all[120:] = 0  # so that it is not the legs that throw the body up
    for step, torques in enumerate(torques_of_all.tolist()):
        if step == 50:
            position, orientation, *rest = whole_state(simulation)
            simulation.change(short)
            new_position, new_orientation, *new_rest = whole_state(simulation)
            np.testing.assert_array_equal(new_position, position)
        if step == 120:
            position, orientation, *rest = whole_state(simulation)
            simulation.change(())
            new_position, new_orientation, *new_rest = whole_state(simulation)
            lift = new_position[2] - position[2]
            np.testing.assert_array_equal(new_position[:2], position[:2])
            assert 0 <= lift < 0.6
            assert clearance(simulation, leg) > -1e-6
            assert lift == 0 or clearance(simulation, leg) < 1e-6
        if step in (50, 120):
            np.testing.assert_allclose(new_orientation, orientation, rtol=0, atol=1e-15)
            for new, old in zip(new_rest, rest, strict=True):
                np.testing.assert_array_equal(new, old)
        if step == 120:
            healed = energy(simulation)
        simulation.step(torques)
        if step >= 120:  # nothing drives it: Bullet added 0.4 J/kg at most in 4,400 lives; without the lift, 300
            assert energy(simulation) < healed + 2
    simulation.close()


def test_it_is_no_progress_that_the_body_changes(make, seed):
    """An ant that rests: a foot's middle moves by 0.25 m, and so the mean of the parts by 0.01 m, in no time."""
    env = make(damage="front_right:shorten=0.1@600-700", terminate=False)
    env.reset(seed=seed)
    infos = [env.step(np.zeros(8, np.float32))[-1] for _ in range(701)]
    progress = np.abs([info["reward_progress"] for info in infos])
    distance = [info["distance"] for info in infos]
    assert progress[550:600].max() < 0.01
    assert progress[[600, 700]].max() < 0.1
    assert np.abs(np.diff(distance)[550:]).max() < 0.01


def test_damages_overlap(life, gait):
    """Each of several has the effect it has alone, when it is in force."""
    damage = "front_left:shorten@20-80+front_left:motor_off@40+back_right:lock@60-100+front_right:shorten=0.5@80"
    observations, rewards, _ = life(gait, damage)
    for until, same in ((40, "front_left:shorten@20"), (60, "front_left:shorten@20+front_left:motor_off@40")):
        np.testing.assert_array_equal(life(gait, same)[0][: until + 1], observations[: until + 1])
    assert np.ptp(angles_of(2, observations)[61:101], axis=0).max() < 0.1
    assert np.isfinite(rewards).all()


def test_the_random_state_knows_nothing_of_damage(make, seed, gait):
    first = []
    for damage in (None, "front_left@20-40+back_left:lock@30"):
        env = make(terminate=False, damage=damage)
        env.reset(seed=seed)
        for action in gait[:60]:
            env.step(action)
        first.append(env.reset()[0])
    np.testing.assert_array_equal(*first)


def test_the_clock_starts_anew_with_every_episode(make, seed, gait):
    env = make(terminate=False, damage="front_left@20-40")
    lives = []
    for _ in range(2):
        observations = [env.reset(seed=seed)[0]]
        observations += [env.step(action)[0] for action in gait[:30]]
        lives.append(np.array(observations))
    np.testing.assert_array_equal(*lives)
