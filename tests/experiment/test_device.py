"""Recipes whose networks compute on a GPU; where there is none, by Triton's interpreter."""

import copy

import numpy as np
import pytest
import torch
from runs import Quiet, assert_same, create, outcome, recipe_of, run

from neuroplastic.errors import ArgumentError, DeviceError, NeuroplasticError
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.kinds.evolution import build_learner, build_task, crews_of
from neuroplastic.experiment.kinds.workers import build_evaluator
from neuroplastic.experiment.recipe import parse_recipe
from neuroplastic.learners.evolution import Decoded, WithCenter
from neuroplastic.noise import episode_seeds, perturbed
from neuroplastic.search.base import DensePopulation

GPU = torch.cuda.is_available()
HERE = {"device": "cuda", "backend": "cpu"} if GPU else {"device": "cpu", "backend": "gpu"}


@pytest.fixture(autouse=True)
def probe(monkeypatch):
    """The speed is told by few steps: the interpreter takes a tenth of a second for one."""
    monkeypatch.setattr("neuroplastic.experiment.kinds.evolution.PROBE", 2)


@pytest.fixture
def small(tiny):
    """Plain values of a recipe on a GPU: three hidden units, four members, six steps."""
    values = copy.deepcopy(tiny) | {"device": HERE["device"], "generations": 2}
    values["policy"] = {"hidden": [3], "backend": HERE["backend"]}
    values["search"]["population"] = 4
    values["task"]["horizon"] = 6
    values["selection"] = {"every": 2, "top": 1, "episodes": 1}
    return values


def plain(values):
    """The same on the cpu."""
    return values | {"device": "cpu", "policy": values["policy"] | {"backend": "cpu"}}


def numbers(values, tmp_path, name, *words):
    folder = create(tmp_path / name, values, *words)
    run(folder)
    return outcome(tmp_path / name)


def test_a_run_on_the_gpu_is_that_on_the_cpu_but_for_rounding(small, tmp_path):
    (on_gpu, agents), (on_cpu, _) = numbers(small, tmp_path, "gpu"), numbers(plain(small), tmp_path, "cpu")
    assert on_gpu == on_cpu  # rewards of CartPole are counts: the first lives do not hang on last bits
    agent = Agent.load(tmp_path / "gpu", "center")
    assert agent.life.device == "cpu"
    assert agent.life.policy.backend == "cpu"
    tried = agent.task().evaluate(DensePopulation(agent.genome[None]), [0], episode_seeds(1, "test", 0, 2)[None])
    assert np.isfinite(tried.fitness).all()
    assert agents


@pytest.mark.parametrize("sharing", ["synapse", "neuron"])
def test_neither_crews_nor_storage_change_a_number(small, sharing, tmp_path):
    words = [f"rule.sharing={sharing}", "generations=1", "task.horizon=2", "policy.hidden=[]"]
    numbers(small, tmp_path, "one", *words, "task.crews=1")
    numbers(small, tmp_path, "two", *words, "task.crews=2")
    assert_same(tmp_path / "one", tmp_path / "two")
    if sharing == "synapse":
        numbers(small, tmp_path, "made", *words, "policy.coefficients=made")
        assert_same(tmp_path / "one", tmp_path / "made")


def test_a_run_that_is_interrupted_is_one_that_was_not(small, tmp_path):
    numbers(small, tmp_path, "whole")
    folder = create(tmp_path / "parts", small)
    run(folder, Quiet(stop_after=1))
    run(type(folder).open(tmp_path / "parts"))
    assert_same(tmp_path / "whole", tmp_path / "parts")


def test_bfloat16_means_the_same_on_every_backend(small):
    """Coefficients are rounded; fitness is what the steps make of them."""
    seeds = episode_seeds(3, "train", 0, 2)[None].repeat(4, 0)
    found = []
    for values in (small, plain(small), plain(small) | {"policy": small["policy"] | {"backend": "reference"}}):
        recipe = recipe_of(values, "policy.coefficients=bfloat16", "rule.normaliser=max", "device=cpu")
        task = build_task(recipe)
        population = build_learner(recipe, task, build_evaluator(recipe, task)).strategy.ask()
        found.append(task.evaluate(population, range(4), seeds).fitness)
        task.close()
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[1], found[2])


def test_members_of_a_generation_as_a_sample(small):
    """What the learner hands out makes the same rows, the center's among them."""
    recipe = recipe_of(small)
    task = build_task(recipe)
    learner = build_learner(recipe, task, build_evaluator(recipe, task))
    everybody = Decoded(WithCenter(learner.strategy.ask(), learner.strategy.center), learner.codec)
    index = [4, 0, 3, 4, 1]
    sample = everybody.sample(index)
    assert sample is not None
    rows = everybody.rows(index)
    assert torch.equal(perturbed(sample.center, sample.sigma, sample.streams, sample.signs), rows)
    assert WithCenter(learner.strategy.ask(), rows[1]).sample([0]) is None


def test_recipes_of_before_keep_their_fingerprint(tiny):
    """Where networks compute, and in how many crews, is no part of what a run is; how coefficients are kept is."""
    recipe = recipe_of(tiny)
    for words in (["device=auto"], ["task.crews=2"], ["policy.coefficients=float32"]):
        assert recipe_of(tiny, *words).fingerprint() == recipe.fingerprint()
    assert recipe_of(tiny, "policy.coefficients=bfloat16").fingerprint() != recipe.fingerprint()
    older = recipe.model_dump(exclude={"device": True, "policy": {"coefficients"}, "task": {"crews"}}, mode="json")
    assert (
        parse_recipe({key: value for key, value in older.items() if value is not None}).fingerprint()
        == recipe.fingerprint()
    )


def test_crews(tiny):
    assert crews_of(parse_recipe(tiny)) == 1
    assert crews_of(parse_recipe(tiny | {"device": "cuda"})) == 2
    alone = tiny | {"device": "cuda", "task": tiny["task"] | {"batch": 1}}
    assert crews_of(parse_recipe(alone)) == 1
    assert crews_of(parse_recipe(tiny | {"task": tiny["task"] | {"crews": 3}})) == 3


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["device=gpu"], ArgumentError, "device: expected 'cpu', 'cuda', 'cuda:N' or 'auto'; got 'gpu'"),
        (["device=cuda", "policy.backend=gpu", "task.crews=5"], ArgumentError, "task.crews: expected a number .*<= 4"),
        (["policy.coefficients=float16"], NeuroplasticError, "policy.coefficients"),
        (["policy.coefficients=made", "search.name=cma-es"], NeuroplasticError, "policy.coefficients: expected"),
        (["policy.coefficients=made", "rule.sharing=neuron"], NeuroplasticError, "policy.coefficients: expected"),
    ],
)
def test_what_cannot_be_is_refused_before_work_starts(tiny, words, error, message):
    if "search.name=cma-es" in words:
        tiny["search"] = {"name": "cma-es", "population": 8, "sigma": 0.1}
    with pytest.raises(error, match=message):
        recipe_of(tiny, *words)


@pytest.mark.skipif(GPU, reason="there is a GPU")
def test_a_gpu_that_is_not_there(tiny, tmp_path, monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    folder = create(tmp_path / "run", tiny, "device=cuda")
    with pytest.raises(DeviceError, match="device: expected one of the 0 GPUs that torch sees; got 'cuda'"):
        run(folder)
    again = type(folder).open(tmp_path / "run", ["device=auto"])  # nothing is lost: it goes on where there is a device
    run(again)
    assert len(outcome(tmp_path / "run")[0]) == 4


def test_a_cluster_without_gpus_for_its_workers(tiny):
    recipe = recipe_of(tiny, "device=cuda")
    with pytest.raises(NeuroplasticError, match=r"evaluate.gpus: expected a number of GPUs.*got 0"):
        build_evaluator(recipe, build_task(recipe), "auto")
    recipe = recipe_of(tiny, "device=cuda:1", "evaluate.gpus=1")
    with pytest.raises(NeuroplasticError, match=r"device: expected 'cuda' or 'auto' on a cluster.*got 'cuda:1'"):
        build_evaluator(recipe, build_task(recipe), "auto")
