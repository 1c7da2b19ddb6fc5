"""The controls as `evaluate` asks them: beside the same done by hand."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from neuroplastic.errors import ArgumentError, RecipeError
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.controls import Plan, Trial, conclusion, evidence, plan, transplanted
from neuroplastic.experiment.kinds import checked, resolved
from neuroplastic.experiment.kinds.evolution import build_rule, build_task
from neuroplastic.experiment.recipe import parse_recipe
from neuroplastic.experiment.scores import score, usual_life
from neuroplastic.noise import episode_seeds
from neuroplastic.plastic.controls import Controls
from neuroplastic.plastic.network import PlasticNetwork
from neuroplastic.tasks.recovery import Recovery

CHANGING = "neuroplastic_envs:neuroplastic/ChangingCartPole-v0"


def agent_of(values: Mapping[str, Any], scale: float = 1.0) -> Agent:
    recipe = resolved(parse_recipe(values))
    layout = build_task(recipe).layout
    return Agent(scale * torch.randn(layout.size), recipe, layout, 7)


def lived_by_hand(agent: Agent, episodes: int, damage: str | None, frozen: int | None) -> Iterator[list[float]]:
    """Rewards of lives in an environment of Gymnasium's own making, one by one."""
    task = agent.recipe.task
    network = PlasticNetwork(4, 2, agent.recipe.policy.hidden, rule=build_rule(agent.recipe))
    for seed in episode_seeds(0, "test", 0, episodes).tolist():
        env = gymnasium.make(task.env, **({"damage": damage} if damage else {}))
        observation, _ = env.reset(seed=seed)
        network.birth(agent.genome[None], [seed])
        rewards: list[float] = []
        while len(rewards) < task.horizon:
            if len(rewards) == frozen:
                network.freeze([0])
            paid = np.array(rewards[-1:] or [0.0], np.float32)
            output = network.act(np.asarray(observation, np.float32)[None], paid, [0])
            observation, reward, over, _, _ = env.step(int(output[0].argmax()))
            rewards.append(float(reward))
            if over:
                break
        yield rewards


@pytest.mark.parametrize("damage", [None, "mirrored@9"])
@pytest.mark.parametrize("frozen", [None, 0, 5])
def test_a_frozen_agent_is_the_living_network_frozen_by_hand(
    tiny: dict[str, Any], damage: str | None, frozen: int | None
) -> None:
    tiny["task"]["env"] = CHANGING
    agent = agent_of(tiny)
    controls = () if frozen is None else (f"freeze={frozen}",)
    trial = Trial("it", "own", controls, [{"damage": damage}], 9, against="it")
    (answer,), _ = Plan([trial], window=4).run(agent, 12)
    lives = list(lived_by_hand(agent, 12, damage, frozen))
    np.testing.assert_array_equal(answer.returns, [sum(rewards) for rewards in lives])
    steps = [Recovery(9, 4).steps(np.array(rewards), len(rewards) == 60) for rewards in lives]
    asked = [number for number in steps if not math.isnan(number)]
    assert (answer.recovered.asked if answer.recovered else 0) == len(asked)
    if answer.recovered:
        assert answer.recovered.share == np.isfinite(asked).mean()


def test_what_is_asked_of_a_plastic_agent(tiny: dict[str, Any]) -> None:
    tiny["task"] |= {"env": CHANGING, "variations": [{"damage": "weak@10-20"}, {}]}
    agent = agent_of(tiny)
    asked = plan(agent, usual=60, own=["zero_layer=layer1@7, freeze=8", "swap_initial=zeros"])
    names = [trial.name for trial in asked.trials]
    assert names[0] == "nothing"
    assert [name for name in names if name.startswith("freeze")] == ["freeze=0", "freeze=6", "freeze=15", "freeze=30"]
    swaps = ["normal", "xavier-uniform", "uniform-1"]  # its own is the uniform one
    assert [name for name in names if name.startswith("swap")] == [f"swap_initial={d}" for d in [*swaps, "zeros"]]
    assert [name for name in names if "@30" in name] == [
        *("zero_layer=layer0@30", "zero_layer=layer1@30"),
        *(f"damage={kind}@30{frozen}" for kind in ("mirrored", "weak", "long") for frozen in ("", ", freeze=30")),
    ]
    assert names[-2] == "zero_layer=layer1@7, freeze=8"
    assert asked.trials[-2].moment == 7
    assert asked.window == 6
    assert not asked.note
    others = plan(agent, usual=60, freezes=[9, 3], moment=20, variations=[{}])
    names = [trial.name for trial in others.trials]
    assert [name for name in names if name.startswith("freeze")] == ["freeze=3", "freeze=9"]
    assert "zero_layer=layer0@20" in names
    assert not any("damage" in name for name in names), "one who says which damages wants those"


def test_answers_are_of_the_same_episodes_whoever_tries_them(tiny: dict[str, Any]) -> None:
    tiny["task"]["env"] = CHANGING
    agent = agent_of(tiny)
    (alive, *_), _ = score(agent, [{}], episodes=10)
    asked = plan(agent, usual_life(agent, [alive]))
    (answers, _), (again, _) = asked.run(agent, 10), asked.run(agent, 10, workers=2)
    np.testing.assert_array_equal(answers[0].returns, alive.returns)
    by_name = {answer.trial.name: answer for answer in answers}
    for one, other in zip(answers, again, strict=True):
        np.testing.assert_array_equal(one.returns, other.returns)
        assert one.summary() == other.summary()
        against = by_name[one.trial.against]
        if one is not against:
            assert one.difference is not None
            assert math.isclose(one.difference.mean, (one.returns - against.returns).mean(), abs_tol=1e-9)
    assert json.loads(json.dumps([one.summary() for one in answers], allow_nan=False))
    found = evidence(answers)
    freezes = [Controls.parse(trial.controls).freeze for trial in asked.trials if trial.kind == "freeze"]
    assert list(found.frozen) == freezes
    assert len(found.damaged) == 3
    assert conclusion(answers)


def test_an_agent_with_nothing_to_freeze(tiny: dict[str, Any]) -> None:
    tiny["rule"] = {"name": "static"}
    agent = agent_of(tiny)
    asked = plan(agent, usual=60)
    assert len(asked.trials) == 1
    assert asked.note == "its weights never change in a life: there is nothing to freeze"
    assert len(plan(agent, usual=60, own=["zero_layer=layer0@3"]).trials) == 2


OWN_RULE = """
import torch
from neuroplastic.genome import Layout
from neuroplastic.plastic import LivingLayer, Rule

class Living(LivingLayer):
    def __init__(self, w): self.w = w
    def step(self, pre, signal, rows): return (self.w[rows] * pre[:, None]).sum(-1)
    def replace(self, rows, newborn): self.w[rows] = newborn.w
    def weights(self): return self.w.clone()

class OwnRule(Rule):
    def layout(self, inputs, outputs): return Layout((("W", (outputs, inputs)),))
    def birth(self, layer, coefficients, seeds): return Living(coefficients["W"].clone())
"""


def test_a_rule_of_ones_own_without_acts(tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rule_without_acts.py").write_text(OWN_RULE)
    monkeypatch.syspath_prepend(tmp_path)
    tiny["rule"] = {"name": "rule_without_acts:OwnRule"}
    asked = plan(agent_of(tiny), usual=60)
    assert len(asked.trials) == 1
    assert "there are no controls for it: rule: expected one whose layers can have weights assigned" in asked.note


def test_evolution_under_a_control(tiny: dict[str, Any]) -> None:
    tiny["policy"]["controls"] = ["freeze=4", "swap_initial=normal"]
    agent = agent_of(tiny)
    free = replace(agent, recipe=resolved(parse_recipe(tiny | {"policy": {"hidden": [4]}})))
    (under,), _ = score(agent, [{}], episodes=8)
    trial = Trial("it", "own", ("freeze=4", "swap_initial=normal"), [{}], 3, against="it")
    (answer,), _ = Plan([trial], 5).run(free, 8)
    np.testing.assert_array_equal(under.returns, answer.returns)
    for word, message in (
        ("freeze=x", "control: expected freeze=T"),
        ("zero_layer=layer9@3", "expected one of 'layer0', 'layer1'; got 'layer9'"),
    ):
        tiny["policy"]["controls"] = [word]
        with pytest.raises((ArgumentError, RecipeError), match=message):
            checked(parse_recipe(tiny))


def test_a_transplant_lives_in_the_other_environment(tiny: dict[str, Any]) -> None:
    agent = agent_of(tiny)
    moved = transplanted(agent, CHANGING, {"damage": "mirrored"})
    tiny["task"] |= {"env": CHANGING, "env_options": {"damage": "mirrored"}}
    native = replace(agent, recipe=resolved(parse_recipe(tiny)))
    (here,), _ = score(moved, [{}], episodes=6)
    (there,), _ = score(native, [{}], episodes=6)
    np.testing.assert_array_equal(here.returns, there.returns)
    assert torch.equal(moved.genome, agent.genome)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("Acrobot-v1", r"observations of numbers of shape \[4\], as CartPole-v1 has; got Acrobot-v1 with .* \[6\]"),
        ("InvertedPendulum-v9", "InvertedPendulum-v9"),
        ("Continuous-v0", r"actions of 2 choices, as CartPole-v1 has; got Continuous-v0 with numbers of shape \[2\]"),
        ("Three-v0", "actions of 2 choices, as CartPole-v1 has; got Three-v0 with 3 choices"),
    ],
)
def test_a_transplant_between_different_interfaces_is_refused(tiny: dict[str, Any], env: str, message: str) -> None:
    class Other(gymnasium.Env):
        def __init__(self, actions: gymnasium.Space) -> None:
            self.observation_space, self.action_space = gymnasium.spaces.Box(-1, 1, (4,)), actions

    actions = {"Continuous-v0": gymnasium.spaces.Box(-1, 1, (2,)), "Three-v0": gymnasium.spaces.Discrete(3)}
    if env in actions:
        gymnasium.register(env, lambda: Other(actions[env]))
    try:
        with pytest.raises(ArgumentError, match=message):
            transplanted(agent_of(tiny), env)
    finally:
        if env in actions:
            gymnasium.registry.pop(env)
