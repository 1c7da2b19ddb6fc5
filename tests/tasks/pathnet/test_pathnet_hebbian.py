"""Paths of plastic modules: against networks of plastic layers, and estimates of gradients against their formula."""

from functools import partial

import numpy as np
import pytest
import torch

from neuroplastic.errors import ArgumentError
from neuroplastic.evaluate.processes import ProcessEvaluator
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.learners.pathnet import PathNet, Stage, Tournament
from neuroplastic.noise import stream
from neuroplastic.pathnet import Block, Descent, Linear, Subnetwork, SuperNetwork, active, random_paths
from neuroplastic.plastic import HebbianRule, PlasticNetwork
from neuroplastic.plastic.rules import Layer
from neuroplastic.search.shaping import centered_rank
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.pathnet.hebbian import EvolvedTask, PathPolicy, Plastic

RULE = HebbianRule(normaliser="max")
OTHER = HebbianRule(terms="AD+lr", normaliser="row")
NETWORK = SuperNetwork(
    (4,),
    ((Block(Plastic(6, RULE, spread=1.0), 2), Block(Plastic(6, OTHER, spread=1.0), 2)), (Block(Plastic(5, RULE), 4),)),
    partial(Plastic, rule=RULE),
)


def genomes(policy: PathPolicy, lives: int) -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.randn(lives, policy.layout.size)
    on = active(random_paths(lives, 2, 2, 4, int(torch.randint(2**31, ()))), 4)
    rows[:, policy.layout.slices["present"]] = on.flatten(1).float()
    return rows, on


def test_a_life_on_a_path_is_its_modules_alive_and_summed() -> None:
    policy = PathPolicy((4,), 2, network=NETWORK)
    lives = 5
    rows, on = genomes(policy, lives)
    seeds = torch.randint(2**31, (lives,)).tolist()
    policy.birth(rows, seeds)
    arrays = policy.layout.split(rows)
    by_hand = []  # [life][layer] -> modules, each a layer with one life
    for life in range(lives):
        layers = []
        blocks = [("layer0.0", 4, 0, 2, 6, RULE), ("layer0.1", 4, 2, 2, 6, OTHER), ("layer1.0", 6, 0, 4, 5, RULE)]
        for depth in range(2):
            alive = []
            for name, inputs, first, count, size, rule in blocks:
                for number in range(count) if name.startswith(f"layer{depth}") else ():
                    if on[life, depth, first + number]:
                        own = {key: arrays[f"{name}.{key}"][life, number][None] for key in rule.layout(inputs, size)}
                        alive.append(rule.birth(Layer(name, inputs, size), own, [stream(seeds[life], number)]))
            layers.append(alive)
        own = {key: arrays[f"readout.{key}"][life] for key in RULE.layout(5, 2)}
        layers.append([RULE.birth(Layer("readout", 5, 2), own, [stream(seeds[life], 0)])])
        by_hand.append(layers)
    for step in range(12):
        acting = [life for life in range(lives) if step < 4 or life % 2]
        observations, rewards = torch.randn(len(acting), 4), torch.randn(len(acting))
        outputs = policy.act(observations, rewards, acting)
        for place, life in enumerate(acting):
            activity = observations[place][None]
            for modules in by_hand[life]:
                parts = [each.step(activity, rewards[place][None], torch.tensor([0])) for each in modules]
                activity = torch.stack(parts).sum(0)
            torch.testing.assert_close(outputs[place], activity[0], rtol=1e-4, atol=1e-5)


def test_a_path_of_one_module_a_layer_is_a_plastic_network() -> None:
    """Its weights at birth too, where they evolve."""
    rule = HebbianRule(initial="evolved", normaliser="max")
    network = SuperNetwork.alike(4, [Plastic(6, rule), Plastic(5, rule)], 1)
    network = SuperNetwork(network.inputs, network.layers, partial(Plastic, rule=rule))
    policy, plain = PathPolicy((4,), 2, network=network), PlasticNetwork(4, 2, [6, 5], rule=rule)
    rows = torch.randn(3, policy.layout.size)
    rows[:, policy.layout.slices["present"]] = 1
    policy.birth(rows, [1, 2, 3])
    plain.birth(rows[:, : plain.layout.size], [1, 2, 3])
    for _ in range(5):
        observations = np.random.default_rng().normal(size=(3, 4)).astype(np.float32)
        ours, theirs = (each.act(observations, np.ones(3, np.float32), [0, 1, 2]) for each in (policy, plain))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_lives_are_born_in_place_of_others() -> None:
    policy, fresh = (PathPolicy((4,), 2, network=NETWORK) for _ in range(2))
    old, _ = genomes(policy, 4)
    new, _ = genomes(policy, 2)
    policy.birth(old, [1, 2, 3, 4])
    policy.act(torch.randn(4, 4), torch.zeros(4), range(4))
    policy.birth(new, [8, 9], [2, 0])
    fresh.birth(new, [8, 9])
    for _ in range(4):
        observations = torch.randn(2, 4)
        torch.testing.assert_close(
            policy.act(observations, torch.zeros(2), [2, 0]), fresh.act(observations, torch.zeros(2), [0, 1])
        )


def test_a_step_is_the_strategys_estimate_for_each_path_summed() -> None:
    asked = []

    def evaluate(population, seeds) -> Evaluation:
        rows = population.rows(range(len(population)))
        asked.append((rows, seeds))
        fitness = torch.sin(rows @ weights).numpy()[:, None].repeat(len(seeds), 1)
        return Evaluation(fitness.astype(float), np.ones(fitness.shape, np.int64))

    task = EvolvedTask("tried", NETWORK, "CartPole-v1", pairs=3, sigma=0.2, episodes=2, evaluate=evaluate)
    weights = torch.randn(task.rollouts.layout.size)
    tensors = NETWORK.birth(4) | NETWORK.readout_birth(2, 4)
    on = active(random_paths(2, 2, 2, 4, 8), 4)
    frozen = torch.zeros(2, 4, dtype=torch.bool)
    frozen[:, 1] = True
    part = Subnetwork(NETWORK, tensors, on, 2, frozen)
    trial = task.trial(2, 77)
    found = trial.gradients(part)
    rows, seeds = asked[0]
    assert rows.shape[0] == 2 * 3 * 2
    assert (seeds & 3 == 1).all()
    layout = task.rollouts.layout
    base = torch.stack([layout.join({**tensors, "present": each.float()}) for each in on])
    for path in range(2):
        own = rows.view(2, 6, -1)[path]
        on_path = layout.split(own)["present"]
        assert torch.equal(on_path, on[path].float().expand(6, -1, -1))
        middle = (own[::2] + own[1::2])[:, layout.slices["readout.A"]] / 2
        torch.testing.assert_close(middle, base[path, layout.slices["readout.A"]].expand(3, -1))
    scores = torch.sin(rows @ weights).view(2, 6)
    ranks = torch.stack([torch.from_numpy(centered_rank(own.numpy())) for own in scores]).float()
    expected = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    for path in range(2):
        for number in range(6):
            tried = layout.split(rows.view(2, 6, -1)[path, number])
            for name in tensors:
                own = tried[name] - tensors[name]
                noise = own / 0.2
                if name.startswith("layer"):
                    block = next(each for each in NETWORK.blocks if name.startswith(f"{each[0]}."))
                    _, layer, first, modules = block
                    may = (on[path, layer] & ~frozen[layer])[first : first + modules.count]
                    used = on.any(0)[layer, first : first + modules.count]
                    assert not own[used & ~may].any()
                    noise = noise * may.view(-1, *(1 for _ in own.shape[1:]))
                expected[name] -= ranks[path, number] * noise / (2 * 3 * 0.2)
    part.tensors = found
    for name, gradient in part.put({name: torch.zeros_like(tensor) for name, tensor in tensors.items()}).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}")
    np.testing.assert_allclose(trial.fitness(), scores.mean(1), rtol=1e-5)


def test_evolved_modules_are_frozen_and_kept_and_resume() -> None:
    def learner() -> PathNet:
        short = {"max_episode_steps": 20}
        stages = [
            Stage(EvolvedTask("first", NETWORK, "CartPole-v1", pairs=2), 2),
            Stage(EvolvedTask("second", NETWORK, "CartPole-v1", pairs=2, env_options=short), 2),
        ]
        return PathNet(NETWORK, stages, tournament=Tournament(4, genes=2, steps=2), descent=Descent("sgd", 0.5), seed=3)

    whole, half, rest = learner(), learner(), learner()
    for _ in range(3):
        half.step()
    rest.load_state_dict(half.state_dict())
    while not whole.stopped:
        whole.step()
        if whole.stage == 1 and whole.generation == 2:
            kept = {name: tensor.clone() for name, tensor in whole.tensors.items()}
            frozen = whole.frozen.clone()
    while not rest.stopped:
        rest.step()
    for name, tensor in whole.tensors.items():
        assert torch.equal(tensor, rest.tensors[name]), name
    changed = 0
    for name, layer, first, block in NETWORK.blocks:
        still = frozen[layer, first : first + block.count]
        for array in block.module.layout(NETWORK.shapes[layer]):
            assert torch.equal(whole.tensors[f"{name}.{array}"][still], kept[f"{name}.{array}"][still])
            changed += not torch.equal(whole.tensors[f"{name}.{array}"], kept[f"{name}.{array}"])
    assert changed


def test_trials_may_run_in_worker_processes() -> None:
    found = []
    for workers in (0, 2):
        task = EvolvedTask("tried", NETWORK, "CartPole-v1", pairs=3, env_options={"max_episode_steps": 30})
        learner = PathNet(NETWORK, [Stage(task, 2)], tournament=Tournament(4, genes=2, steps=2), seed=3)
        with ProcessEvaluator(task.rollouts, workers) if workers else SerialEvaluator(task.rollouts) as evaluator:
            task.evaluate = evaluator.evaluate
            while not learner.stopped:
                learner.step()
        found.append(learner.state_dict())
    for name, value in found[0].items():
        if not isinstance(value, str):
            np.testing.assert_array_equal(torch.as_tensor(value), torch.as_tensor(found[1][name]), err_msg=name)


def test_bad_input_is_named() -> None:
    mixed = SuperNetwork.alike(4, [Linear(3)], 2)
    with pytest.raises(ArgumentError, match="network: expected plastic modules only; got Linear"):
        EvolvedTask("wrong", mixed, "CartPole-v1")
    with pytest.raises(ArgumentError, match=r"network: expected one for observations \[6\]; got \[4\]"):
        EvolvedTask("wrong", NETWORK, "Acrobot-v1")
    with pytest.raises(ArgumentError, match="pairs"):
        EvolvedTask("wrong", NETWORK, "CartPole-v1", pairs=0)
