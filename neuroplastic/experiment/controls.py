"""The controls that question an agent's plasticity, each in the same test episodes as the living agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from neuroplastic.errors import ArgumentError, check_range
from neuroplastic.evaluate.base import Progress
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.kinds.evolution import policy_of
from neuroplastic.experiment.meaning import MARGIN, Difference, Evidence, meaning
from neuroplastic.experiment.recipe import parse_recipe
from neuroplastic.experiment.recovery import Recovered
from neuroplastic.experiment.scores import Battery, bootstrap_interval
from neuroplastic.learned import LearnedPolicy
from neuroplastic.plastic.controls import Controlled, Controls
from neuroplastic.plastic.hebbian import HebbianRule
from neuroplastic.plastic.network import PlasticNetwork
from neuroplastic.tasks.bodies import env_metadata, interface
from neuroplastic.tasks.recovery import RECOVERY, Recovery

LIVING = "nothing"
SWAPS = ("uniform", "normal", "xavier-uniform", "uniform-1")
PARTS_OF_A_LIFE = (0.0, 0.1, 0.25, 0.5)
WINDOW = 50  # steps of a reward rate, but a tenth of the usual life at most

Variation = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """One thing that is done to an agent.

    Attributes:
        name: of it, for people.
        kind: "living", "freeze", "swap_initial", "random_rule", "zero_layer", "damage", "damage and freeze" or "own".
        controls: words of `Controls.parse`.
        variations: of the task, in which it is done.
        moment: steps of the network after which recovery is counted.
        against: the trial with which it is compared.
    """

    name: str
    kind: str
    controls: tuple[str, ...]
    variations: Sequence[Variation]
    moment: int
    against: str = LIVING


@dataclass(frozen=True)
class Answer:
    """What came of a trial.

    Attributes:
        returns: [E], averaged over the variations; NaN where a life failed.
        difference: to the trial that it is compared with; None if it is none, or no episode has both.
        recovered: after its moment; None if no life came to it.
    """

    trial: Trial
    returns: NDArray[np.float64]
    difference: Difference | None
    recovered: Recovered | None

    def summary(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        sound = self.returns[~np.isnan(self.returns)]
        low, high = bootstrap_interval(sound) if len(sound) else (None, None)
        return {
            "done": self.trial.name,
            "kind": self.trial.kind,
            "controls": list(self.trial.controls),
            "variations": [dict(variation) for variation in self.trial.variations],
            "moment": self.trial.moment,
            "mean": float(sound.mean()) if len(sound) else None,
            "low": low,
            "high": high,
            "failed": len(self.returns) - len(sound),
            "against": self.trial.against,
            "difference": vars(self.difference) if self.difference else None,
            "recovered": self.recovered.summary() if self.recovered else None,
        }


@dataclass(frozen=True)
class Plan:
    """Trials of one agent; the first is the agent that lives as it is.

    Attributes:
        window: of reward rates, in steps.
        note: why there is little to do, for people; or nothing.
    """

    trials: Sequence[Trial]
    window: int
    note: str = ""

    def run(
        self, agent: Agent, episodes: int, seed: int = 0, workers: int = 1, progress: Progress | None = None
    ) -> tuple[list[Answer], dict[str, int]]:
        """All trials over the same test episodes.

        Returns:
            (an answer for each trial, reason of failure -> lives that failed so)

        Raises:
            ArgumentError: a control or variation is refused; before any episode.
        """
        check_range("episodes", episodes, low=1)
        task = agent.task()
        task.close()
        tasks = [
            replace(
                task,
                policy=policy_of(agent.life, trial.controls),
                variations=[variation],
                recovery=Recovery(trial.moment, self.window),
            )
            for trial in self.trials
            for variation in trial.variations
        ]
        for each in tasks:
            each.check()
        tried = Battery(tasks, episodes).try_agent(agent, seed, workers, progress)
        lives = len(tasks) * episodes
        steps = tried.measures.get(RECOVERY, np.full((lives, 1), np.nan)).reshape(len(tasks), episodes)
        returns, recoveries, first = {}, {}, 0
        for trial in self.trials:
            own = slice(first, first + len(trial.variations))
            returns[trial.name] = tried.fitness.reshape(len(tasks), episodes)[own].mean(axis=0)
            recoveries[trial.name], first = Recovered.of(steps[own].ravel()), own.stop
        answers = []
        for trial in self.trials:
            itself = trial.against == trial.name
            difference = None if itself else Difference.between(returns[trial.name], returns[trial.against])
            answers.append(Answer(trial, returns[trial.name], difference, recoveries[trial.name]))
        return answers, dict(tried.failures)


def plan(
    agent: Agent,
    usual: float,
    variations: Sequence[Variation] | None = None,
    freezes: Sequence[int] = (),
    moment: int = 0,
    own: Sequence[str] = (),
    standard: bool = True,
) -> Plan:
    """What a sceptical reviewer would do to an agent.

    Args:
        agent: whom it is done to.
        usual: steps of the network in its usual life.
        variations: of its task; those that it was evolved on unless given.
        freezes: steps at which the weights stop; parts of the usual life unless given.
        moment: the step at which layers are lost and damage strikes; 0 = in mid-life.
        own: further trials, each some words of `Controls.parse`, joined by commas.
        standard: whether there are any but these.

    Raises:
        ArgumentError, UnknownNameError: a word cannot be read, or a layer is not there.
    """
    network = network_of(agent)
    note = why_not(agent, network) if standard else ""
    base = agent.life.task.variations if variations is None else variations
    moment = moment or max(1, round(usual / 2))
    window = max(1, min(WINDOW, round(usual / 10)))
    trials = [Trial(LIVING, "living", (), base, moment)]

    def add(kind: str, *controls: str, at: int = moment) -> None:
        name = ", ".join(controls)
        if all(trial.name != name for trial in trials):
            trials.append(Trial(name, kind, controls, base, at))

    if standard and not note:
        for step in sorted(set(freezes or (round(part * usual) for part in PARTS_OF_A_LIFE))):
            add("freeze", f"freeze={step}")
        for distribution in SWAPS:
            if distribution != getattr(network.rule, "initial", None):
                add("swap_initial", f"swap_initial={distribution}")
        if network.coefficients:
            add("random_rule", "random_rule")
        for layer in network.wiring:
            add("zero_layer", f"zero_layer={layer}@{moment}")
        trials += _damages(agent, moment) if variations is None else []
    for text in own:
        words = text.split(",")
        controls = Controls.parse(words)
        Controlled(network, controls)
        steps = [step for _, step in controls.moments if step > 0]
        add("own", *map(str.strip, words), at=min(steps, default=moment))
    return Plan(trials, window, note)


def _damages(agent: Agent, moment: int) -> list[Trial]:
    """Each damage that the body knows strikes at the moment, and is lived with, or borne by frozen weights."""
    at = agent.life.task.idle + moment  # bodies count from the reset
    trials = []
    for damage in env_metadata(agent.life.task.env).get("damages", []):
        name, variations = f"damage={damage}@{at}", [{"damage": f"{damage}@{at}"}]
        trials.append(Trial(name, "damage", (), variations, moment))
        stopped = f"freeze={moment}"
        trials.append(Trial(f"{name}, {stopped}", "damage and freeze", (stopped,), variations, moment, against=name))
    return trials


def network_of(agent: Agent) -> PlasticNetwork | LearnedPolicy:
    """A network such as the agent's, that nobody lives by.

    Raises:
        DamagedFileError: the genome is not one of it.
        ArgumentError: the agent lives by another policy.
    """
    task = agent.task()
    try:
        policy = task.make_policy()
    finally:
        task.close()
    network = policy.network if isinstance(policy, Controlled) else policy
    if not isinstance(network, PlasticNetwork | LearnedPolicy):
        raise ArgumentError(f"controls: expected a network that can be acted on; got a {type(network).__name__}")
    return network


def why_not(agent: Agent, network: PlasticNetwork | LearnedPolicy) -> str:
    """Why a network's plasticity cannot be questioned; nothing if it can."""
    if isinstance(network.rule, HebbianRule) and not network.rule.terms:
        return "its weights never change in a life: there is nothing to freeze"
    network.birth(agent.genome[None], [0])
    try:
        for name, weights in network.weights().items():
            network.assign(name, [0], torch.zeros_like(weights))
        network.freeze([0])
    except ArgumentError as error:  # a rule of somebody's own
        return f"there are no controls for it: {error}"
    return ""


def evidence(answers: Sequence[Answer]) -> Evidence:
    """What the answers say, for `meaning`."""
    of = {kind: [answer for answer in answers if answer.trial.kind == kind] for kind in {a.trial.kind for a in answers}}
    frozen, random = of.get("freeze", []), of.get("random_rule", [])
    zeroed = {Controls.parse(answer.trial.controls).zero_layer[0][0]: answer for answer in of.get("zero_layer", [])}
    living = answers[0].summary()["mean"]
    return Evidence(
        margin=MARGIN * abs(living or 0.0),
        frozen={
            int(Controls.parse(answer.trial.controls).freeze or 0): answer.difference
            for answer in frozen
            if answer.difference
        },
        random_rule=random[0].difference if random else None,
        damaged=[answer.difference for answer in of.get("damage and freeze", []) if answer.difference],
        zeroed={layer: answer.recovered for layer, answer in zeroed.items() if answer.recovered},
    )


def conclusion(answers: Sequence[Answer]) -> str:
    """What the answers mean, in one line."""
    return meaning(evidence(answers))


def transplanted(agent: Agent, env: str, env_options: Mapping[str, Any] | None = None) -> Agent:
    """The agent's genome in another body or environment of the same interface, made with these options.

    The rules of its life, such as the horizon, stay those of its recipe.

    Raises:
        ArgumentError: no such id, or its observations or actions differ in kind or size.
    """
    task, options = agent.life.task, dict(env_options or {})
    own, other = interface(task.env, task.env_options), interface(env, options)
    for part, mine, theirs in zip(("observations", "actions"), own, other, strict=True):
        if described(mine) != described(theirs):
            raise ArgumentError(
                f"transplant: expected an environment with {part} of {described(mine)}, as {task.env} has; "
                f"got {env} with {described(theirs)}"
            )
    section = task.model_dump() | {"env": env, "env_options": options, "variations": [{}]}
    return replace(agent, recipe=parse_recipe(agent.recipe.model_dump() | {"task": section}))


def described(space: spaces.Space) -> str:
    """Kind and size of a space: what has to be the same for an agent to live by it."""
    if isinstance(space, spaces.Discrete):
        return f"{space.n} choices"
    return f"numbers of shape {list(space.shape)}" if isinstance(space, spaces.Box) else str(space)
