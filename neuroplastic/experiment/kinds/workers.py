"""Where the trials of a recipe run."""

from __future__ import annotations

from collections.abc import Callable

from neuroplastic.errors import ArgumentError, RecipeError
from neuroplastic.evaluate.base import Evaluator
from neuroplastic.evaluate.cluster import ClusterEvaluator
from neuroplastic.evaluate.processes import ProcessEvaluator, cores
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.experiment.models import Recipe
from neuroplastic.plastic.device import named_device
from neuroplastic.tasks.base import Task
from neuroplastic.tasks.bodies import env_metadata
from neuroplastic.tasks.rollout import RolloutTask


def build_evaluator(
    recipe: Recipe, task: Task, cluster: str | None = None, note: Callable[[str], None] = print
) -> Evaluator:
    """This process, workers, or actors of a Ray cluster.

    Args:
        recipe: says how many, and what each may take.
        task: what they try.
        cluster: "auto" or the cluster's address; None = this machine.
        note: told what a person wants to know about the cluster.

    Raises:
        ArgumentError: the bodies would take more memory than the recipe allows.
        RecipeError: networks are to be on a GPU, and the workers of a cluster are to have none, or a certain one.
        DeviceError: there is no such GPU here, or it has not enough memory; it says for which batch it has.
        WorkerError: no process can be started, or there is no such cluster.
        MissingExtraError: a cluster is asked for, and Ray is not installed.
    """
    chosen = recipe.evaluate
    device = named_device(getattr(recipe, "device", "cpu"))
    on_gpu = device.type == "cuda"
    if cluster is not None:
        if device.index is not None:
            raise RecipeError(
                f"device: expected 'cuda' or 'auto' on a cluster, which gives each worker its GPU; got {str(device)!r}"
            )
        if on_gpu and not chosen.gpus:
            raise RecipeError(
                "evaluate.gpus: expected a number of GPUs, or a fraction of one, for each worker, as device is a GPU; "
                "got 0"
            )
        return ClusterEvaluator(
            task,
            cluster,
            workers=None if chosen.workers == "auto" else chosen.workers,
            cpus=chosen.cpus,
            gpus=chosen.gpus,
            limit=chosen.limit,
            tries=chosen.tries,
            note=note,
        )
    workers = cores() if chosen.workers == "auto" else chosen.workers
    needed = workers * body_megabytes(task)
    if isinstance(task, RolloutTask) and needed > chosen.megabytes:
        raise ArgumentError(
            f"evaluate.megabytes: expected enough for {workers} workers x {len(task.variations)} variations x "
            f"{task.batch} bodies, which take {needed:,.0f} MB; got {chosen.megabytes:,} "
            "(raise it, or lower evaluate.workers or task.batch)"
        )
    if on_gpu and isinstance(task, RolloutTask):
        task.check_room(workers)
    if workers == 1:
        return SerialEvaluator(task)
    return ProcessEvaluator(task, workers, limit=chosen.limit, tries=chosen.tries)


def body_megabytes(task: Task) -> float:
    """Memory that the bodies of one process take; 0 where there are none, or the environment does not say."""
    if not isinstance(task, RolloutTask):
        return 0.0
    return len(task.variations) * task.batch * env_metadata(task.env).get("megabytes_per_env", 0)
