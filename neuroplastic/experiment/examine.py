"""What `neuroplastic evaluate` asks of an agent, whatever it is an agent of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from neuroplastic.errors import ArgumentError, RecipeError, check_range
from neuroplastic.evaluate.base import Progress
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.controls import Answer, Plan, conclusion, plan
from neuroplastic.experiment.kinds.learning import build_task
from neuroplastic.experiment.kinds.pathnet import build_tasks, recalled
from neuroplastic.experiment.learning import LearningScores, score_learning
from neuroplastic.experiment.learning_tables import learning_meaning, learning_table, recall_meaning, recall_table
from neuroplastic.experiment.models import EvolutionRecipe, LearningRecipe, PathNetRecipe, RecallRecipe
from neuroplastic.experiment.remembering import RecallScores, score_recall
from neuroplastic.experiment.scores import bootstrap_interval, default_variations, score, usual_life
from neuroplastic.experiment.tables import controls_table, paths_table, scores_table
from neuroplastic.learners.pathnet import predict
from neuroplastic.noise import episode_seeds
from neuroplastic.pathnet import active
from neuroplastic.tasks.recall import RecallTask

Show = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True)
class Asked:
    """Attributes:
    episodes: test episodes of each figure.
    seed: chooses them.
    workers: processes.
    damage: kinds of damage, "none" among them; empty: all that the body knows.
    controls: whether the usual controls question its plasticity.
    control: further ones, acts joined by commas.
    freeze: steps at which weights are frozen instead of the usual ones.
    moment: when layers are lost and damage strikes; 0: in mid-life.
    """

    episodes: int = 20
    seed: int = 0
    workers: int = 1
    damage: Sequence[str] = ()
    controls: bool = True
    control: Sequence[str] = ()
    freeze: Sequence[int] = ()
    moment: int = 0

    def __post_init__(self) -> None:
        check_range("--episodes", self.episodes, low=1)


@dataclass(frozen=True)
class Examined:
    """Attributes:
    figures: plain values, for a JSON file.
    tables: for people.
    lines: below them.
    where: what it was tried on, for the title.
    """

    figures: dict[str, Any]
    tables: Sequence[Table]
    lines: Sequence[str] = field(default=())
    where: str = ""


def examine(agent: Agent, asked: Asked, show: Show) -> Examined:
    """How good an agent is, over episodes that no search has seen.

    Raises:
        ArgumentError, RecipeError: something is asked of it that it does not have; before any episode.
    """
    if isinstance(agent.recipe, EvolutionRecipe):
        return _lives(agent, asked, show)
    for name in ("damage", "control", "freeze", "moment"):
        if getattr(asked, name):
            raise ArgumentError(
                f"--{name}: expected none for an agent of kind {agent.recipe.kind!r}, which does not live in an "
                f"environment; got {getattr(asked, name)}"
            )
    agent.check()
    if isinstance(agent.recipe, PathNetRecipe):
        return _paths(agent, agent.recipe, asked, show)
    scores = learned_scores(agent, asked.episodes, asked.seed, lambda done, total: show("episodes", done, total))
    if isinstance(scores, RecallScores):
        table, meant, where = recall_table(scores), recall_meaning(scores), "recall of snippets, percent said rightly"
    else:
        table, meant, where = learning_table(scores), learning_meaning(scores), "percent right after so many updates"
    return Examined(scores.summary() | {"meaning": meant}, [table], [meant], where)


def learned_scores(
    agent: Agent, episodes: int, seed: int = 0, progress: Progress | None = None
) -> LearningScores | RecallScores:
    """What the update rule that was found learns or remembers, beside others.

    Raises:
        RecipeError: the agent is no update rule.
    """
    recipe = agent.recipe
    if not isinstance(recipe, LearningRecipe | RecallRecipe):
        raise RecipeError(f"kind: expected an agent of kind 'learning' or 'recall'; got one of kind {recipe.kind!r}")
    task = build_task(recipe)
    if isinstance(task, RecallTask):
        return score_recall(task, agent.genome, episodes=episodes, seed=seed)
    return score_learning(task, agent.genome, episodes=episodes, seed=seed, progress=progress)


def _paths(agent: Agent, recipe: PathNetRecipe, asked: Asked, show: Show) -> Examined:
    network, tensors, learned, history = recalled(recipe, agent.parts)
    if not learned:
        raise ArgumentError("agent: expected one that has learned a task; its first one is not over yet")
    seeds = episode_seeds(asked.seed, "test", 0, asked.episodes).tolist()
    frozen, rows = history.inherited, []
    for number, (task, kept) in enumerate(zip(build_tasks(recipe), learned, strict=False)):
        show("tasks", number, len(learned))
        score = task.score(lambda x, kept=kept: predict(network, tensors, kept, x), seeds)
        low, high = bootstrap_interval(score)
        own = active(kept.path, network.modules)
        rows.append(
            {
                "task": task.name,
                "episodes": len(score),
                "mean": float(score.mean()),
                "low": low,
                "high": high,
                "modules": int(own.sum()),
                "reused": int((own & frozen).sum()),
                "rounds": int((history.stage == number).sum()),
            }
        )
        frozen = frozen | own
    of = f"{len(learned)} of {len(history.tasks)} tasks learned, {int(frozen.sum())} of {frozen.numel()} modules frozen"
    return Examined({"tasks": rows}, [paths_table(rows)], [of], f"{recipe.task.name}")


def _lives(agent: Agent, asked: Asked, show: Show) -> Examined:
    variations = [{} if damage == "none" else {"damage": damage} for damage in asked.damage] or None

    def planned(usual: float) -> Plan:
        return plan(agent, usual, variations, asked.freeze, asked.moment, asked.control, standard=asked.controls)

    planned(usual=1)  # refuses what cannot be done before anything is
    own = asked.episodes, asked.seed, asked.workers
    scored, failures = score(
        agent, variations or default_variations(agent), *own, lambda done, total: show("episodes", done, total)
    )
    questions, answers = planned(usual_life(agent, scored)), list[Answer]()
    if len(questions.trials) > 1:
        answers, more = questions.run(agent, *own, lambda done, total: show("controls", done, total))
        failures |= {f"{reason} (under controls)": count for reason, count in more.items()}
    scores = [each.summary() for each in scored]
    tables = [scores_table(scores, [name for name in scores[0] if name in agent.life.task.measures])]
    tables += [controls_table(answers)] if answers else []
    lines = [f"{count} failed: {reason}" for reason, count in failures.items()]
    meant = questions.note or (conclusion(answers) if answers else "")
    figures = {"scores": scores, "controls": [answer.summary() for answer in answers], "meaning": meant}
    return Examined(figures, tables, [*lines, meant] if meant else lines, agent.life.task.env)
