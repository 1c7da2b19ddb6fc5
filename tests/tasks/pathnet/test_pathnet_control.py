"""Actor-critic: against a rollout and a loss written out by hand."""

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, SpaceError
from neuroplastic.learners.pathnet import PathNet, Stage, Tournament
from neuroplastic.noise import stream, uniform
from neuroplastic.pathnet import Descent, Linear, Subnetwork, SuperNetwork, active, random_paths
from neuroplastic.tasks.pathnet.control import ControlTask

NETWORK = SuperNetwork.alike(6, [Linear(5, "tanh"), Linear(4)], 5)


def subnetwork(paths: int, outputs: int) -> Subnetwork:
    seed = int(torch.randint(2**31, ()))
    tensors = NETWORK.birth(seed) | NETWORK.readout_birth(outputs, seed)
    tensors = {name: tensor.double() for name, tensor in tensors.items()}
    return Subnetwork(NETWORK, tensors, active(random_paths(paths, 2, 3, 5, seed), 5), outputs)


@pytest.mark.parametrize(
    ("env", "options", "physics", "mirrored"),
    [
        ("CartPole-v1", {"max_episode_steps": 11}, {}, False),
        ("CartPole-v1", {}, {"gravity": 30.0}, True),
        ("Acrobot-v1", {"max_episode_steps": 7}, {}, True),
    ],
)
def test_a_step_is_the_rollout_and_the_gradient_by_hand(env: str, options, physics, mirrored: bool) -> None:
    paths, rows, moves, discount = 2, 3, 30, 0.9
    settings = {"environments": rows, "moves": moves, "discount": discount, "value": 0.7, "entropy": 0.03}
    task = ControlTask(env, options=options, physics=physics, mirrored=mirrored, width=6, scale=0.5, **settings)
    source = int(torch.randint(2**31, ()))
    actions = task.outputs - 1
    part, trial = subnetwork(paths, task.outputs), task.trial(paths, source)

    def outputs(path: int, observation: np.ndarray) -> Tensor:
        x = torch.zeros(1, 1, 6, dtype=torch.float64)
        x[0, 0, : len(observation)] = torch.from_numpy(observation)
        return part.forward(x)[path, 0]

    drawn = uniform(stream(source, "actions"), 2 * moves * paths * rows).view(2 * moves, paths, rows)
    bodies = [gymnasium.make(env, **options) for _ in range(paths * rows)]
    seen, episodes = [], {path: [] for path in range(paths)}
    totals = [0.0] * len(bodies)
    for number, body in enumerate(bodies):
        for name, value in physics.items():
            setattr(body.unwrapped, name, value)
        seen.append(body.reset(seed=stream(source, "episodes", number) >> 33)[0])
    for step in range(2):
        losses = []
        for path in range(paths):
            terms = []
            for row in range(rows):
                number, life = path * rows + row, []
                for move in range(moves):
                    probabilities = outputs(path, seen[number])[:-1].softmax(-1)
                    action = int((probabilities.cumsum(-1) < drawn[step * moves + move, path, row]).sum())
                    action = min(action, actions - 1)
                    taken = actions - 1 - action if mirrored else action
                    observation, reward, terminated, truncated, _ = bodies[number].step(taken)
                    life.append((seen[number], action, reward, terminated, truncated, observation))
                    totals[number] += float(reward)
                    if terminated or truncated:
                        episodes[path].append(totals[number])
                        totals[number] = 0.0
                        observation, _ = bodies[number].reset()
                    seen[number] = observation
                following = outputs(path, seen[number])[-1].item()
                for before, action, reward, terminated, truncated, after in reversed(life):
                    if terminated:
                        following = 0.0
                    elif truncated:
                        following = outputs(path, after)[-1].item()
                    following = 0.5 * reward + discount * following
                    made = outputs(path, before)
                    log = made[:-1].log_softmax(-1)
                    advantage = following - made[-1]
                    entropy = -(log.exp() * log).sum()
                    terms.append(0.7 * advantage**2 - log[action] * advantage.detach() - 0.03 * entropy)
            losses.append(torch.stack(terms).mean())
        expected = part.gradients(torch.stack(losses))
        for name, gradient in trial.gradients(part).items():
            torch.testing.assert_close(gradient, expected[name], rtol=1e-5, atol=1e-7)
    running = [np.mean(totals[path * rows : path * rows + rows]) for path in range(paths)]
    means = [np.mean(own) if own else going for own, going in zip(episodes.values(), running, strict=True)]
    np.testing.assert_allclose(trial.fitness(), means)
    assert trial.examples == 2 * moves * paths * rows
    if "max_episode_steps" in options:
        assert all(len(own) >= rows for own in episodes.values())
    task.close()


def test_tasks_of_different_sizes_and_physics_follow_each_other_and_resume() -> None:
    names = {"CartPole-v1": {}, "Acrobot-v1": {}}
    small = {"environments": 2, "moves": 5, "width": 6}

    def learner() -> PathNet:
        stages = [Stage(ControlTask(env, **small), 2) for env in names]
        stages.append(Stage(ControlTask("CartPole-v1", "heavy", physics={"gravity": 20.0}, **small), 2))
        options = {"tournament": Tournament(population=4, genes=2, steps=3), "descent": Descent("adam", 0.01)}
        return PathNet(NETWORK, stages, seed=9, always_active=True, **options)

    whole, half = learner(), learner()
    for _ in range(3):
        half.step()
    rest = learner()
    rest.load_state_dict(half.state_dict())
    while not whole.stopped:
        whole.step()
    while not rest.stopped:
        rest.step()
    assert list(whole.learned) == ["CartPole-v1", "Acrobot-v1", "heavy"]
    for name, tensor in whole.tensors.items():
        assert torch.equal(tensor, rest.tensors[name]), name
    assert whole.examples == rest.examples == 6 * 2 * 2 * 3 * 5


class Mostly:
    """A policy of a few numbers: the likeliest action is a function of the observation alone."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.weights = torch.randn(inputs, outputs, dtype=torch.float64)

    def __call__(self, x: Tensor) -> Tensor:
        return (x.double()[:, :, None] * self.weights).sum(1)


@pytest.mark.parametrize(
    ("env", "options", "physics", "mirrored"),
    [
        ("CartPole-v1", {"max_episode_steps": 60}, {"gravity": 30.0}, True),
        ("Acrobot-v1", {"max_episode_steps": 30}, {}, False),
    ],
)
def test_the_score_is_the_return_of_each_episode_by_hand(env: str, options, physics, mirrored: bool) -> None:
    task = ControlTask(env, options=options, physics=physics, mirrored=mirrored, width=7)
    policy = Mostly(7, task.outputs)
    policy.weights[:, -1] = 100.0  # the value is no action
    seeds = torch.randint(2**31, (19,)).tolist()
    found = task.score(policy, seeds)
    body = gymnasium.make(env, **options)
    for name, value in physics.items():
        setattr(body.unwrapped, name, value)
    for seed, score in zip(seeds, found, strict=True):
        observation, total, over = body.reset(seed=seed)[0], 0.0, False
        while not over:
            x = torch.zeros(1, 7)
            x[0, : len(observation)] = torch.from_numpy(observation)
            action = int(policy(x)[0, :-1].argmax())
            action = task.actions - 1 - action if mirrored else action
            observation, reward, terminated, truncated, _ = body.step(action)
            total, over = total + float(reward), terminated or truncated
        assert score == total
    np.testing.assert_array_equal(task.score(policy, seeds[5:6]), found[5:6])  # whoever else is tried


def test_bad_input_is_named() -> None:
    with pytest.raises(SpaceError, match="task 'Pendulum-v1': expected discrete actions"):
        ControlTask("Pendulum-v1")
    with pytest.raises(ArgumentError, match="width: expected a number >= 6; got 4"):
        ControlTask("Acrobot-v1", width=4)
    with pytest.raises(ArgumentError, match="physics: expected numbers that CartPole-v1 has; got 'gravitas'"):
        ControlTask("CartPole-v1", physics={"gravitas": 3})
    with pytest.raises(ArgumentError, match="task.env: expected the id of a registered environment; got 'CratPole-v1'"):
        ControlTask("CratPole-v1")
    endless = ControlTask("CartPole-v1", options={"max_episode_steps": -1})
    with pytest.raises(ArgumentError, match="task 'CartPole-v1': expected episodes of at most so many steps"):
        endless.score(Mostly(4, 3), [1])
    with pytest.raises(ArgumentError, match="moves"):
        ControlTask("CartPole-v1", moves=0)
    wide = ControlTask("Acrobot-v1", width=7)
    with pytest.raises(ArgumentError, match=r"task 'Acrobot-v1': expected observations of shape \[6\]"):
        PathNet(NETWORK, [Stage(wide, 3)])
