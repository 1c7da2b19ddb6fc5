"""A run as a Ray job: submitted to a cluster of this machine, read in its log, stopped, and submitted again."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from runs import create, run
from safetensors.numpy import load_file

from neuroplastic.experiment.run import read_metrics
from neuroplastic.learners.evolution import FAULT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]


@pytest.fixture
def jobs(ray_folder: str) -> Iterator[Any]:
    """The client of a cluster's job server."""
    import ray
    from ray.cluster_utils import Cluster
    from ray.job_submission import JobSubmissionClient

    ray.shutdown()  # of other tests
    ports = {"dashboard_port": 0, "dashboard_agent_listen_port": 0}
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": True, **ports})
    client = JobSubmissionClient(f"http://{nodes.head_node.webui_url}")
    until(lambda: _takes_jobs(client))
    yield client
    nodes.shutdown()


def _takes_jobs(client: Any) -> bool:
    """The agent that runs jobs is there some seconds after the server."""
    try:
        client.submit_job(entrypoint="true")
    except RuntimeError:
        return False
    return True


def until(condition: Callable[[], object], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


def test_a_job_is_stopped_and_goes_on(jobs: Any, tiny: dict[str, Any], tmp_path: Path) -> None:
    """Its rule is in a module of the person's own; Ray brings it to driver and workers with the working directory."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "my_rules.py").write_text(
        "from neuroplastic.plastic import HebbianRule\nclass MyRule(HebbianRule):\n    pass\n"
    )
    values = tiny | {"evaluate": {"workers": "auto"}, "rule": tiny["rule"] | {"name": "my_rules:MyRule"}}
    (work / "mine.toml").write_text(tomli_w.dumps(values))
    command = f"{sys.executable} -m neuroplastic evolve mine.toml --run {tmp_path / 'run'} --cluster auto --resume auto"
    first = jobs.submit_job(entrypoint=f"{command} generations=100000", runtime_env={"working_dir": str(work)})
    try:
        until(lambda: "generation 10" in jobs.get_job_logs(first) or jobs.get_job_status(first).is_terminal())
        assert not jobs.get_job_status(first).is_terminal(), jobs.get_job_logs(first)
        assert "steps/s" in jobs.get_job_logs(first)
    finally:
        jobs.stop_job(first)
    until(lambda: jobs.get_job_status(first).is_terminal())
    done = sum(1 for _ in (tmp_path / "run" / "metrics.jsonl").open())

    (work / "second").touch()  # another package: Ray may delete the first one, now unused, while it is asked for again
    second = jobs.submit_job(entrypoint=f"{command} generations={done + 3}", runtime_env={"working_dir": str(work)})
    until(lambda: jobs.get_job_status(second).is_terminal())
    log = jobs.get_job_logs(second)
    assert jobs.get_job_status(second) == "SUCCEEDED", log
    assert "going on after generation" in log
    assert f"generation {done + 3}/{done + 3}" in log

    run(create(tmp_path / "alone", tiny, f"generations={done + 3}"))  # the rule is the same by another name
    metrics, alone = read_metrics(tmp_path / "run"), read_metrics(tmp_path / "alone")
    assert [numbers(row) for row in metrics] == [numbers(row) for row in alone]
    for which in ("center", "best"):
        agents = [load_file(tmp_path / name / f"{which}.safetensors") for name in ("run", "alone")]
        np.testing.assert_array_equal(agents[0]["genome"], agents[1]["genome"])


def test_workers_get_the_package_as_a_wheel(jobs: Any, tmp_path: Path) -> None:
    """Driver and workers import the wheel's package, not the one that the cluster's machines may have."""
    root = Path(__file__).parents[2]
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    (tmp_path / "program.py").write_text(
        "import ray, neuroplastic\n"
        "ray.init()\n"
        "where = ray.remote(lambda: __import__('neuroplastic').__file__)\n"
        "print('driver', neuroplastic.__file__)\n"
        "print('worker', ray.get(where.remote()))\n"
    )
    packages = {
        "packages": ["${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}/" + wheel.name],
        "pip_install_options": ["--no-deps", "--force-reinstall"],
    }
    job = jobs.submit_job(entrypoint="python program.py", runtime_env={"working_dir": str(tmp_path), "pip": packages})
    until(lambda: jobs.get_job_status(job).is_terminal())
    log = jobs.get_job_logs(job)
    assert jobs.get_job_status(job) == "SUCCEEDED", log + jobs.get_job_info(job).message
    for who in ("driver", "worker"):
        (path,) = [line.split()[1] for line in log.splitlines() if line.startswith(f"{who} ")]
        assert "runtime_resources" in path


def numbers(row: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name != "seconds" and not name.startswith(FAULT)}
