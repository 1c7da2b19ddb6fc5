"""What the tests of evaluators share."""

import secrets
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    seed = secrets.randbits(32)
    print(f"{seed = }")
    return np.random.default_rng(seed)


@pytest.fixture(scope="session")
def cluster(ray_folder: str) -> Iterator[Any]:
    """A Ray cluster of its own: a head that runs nothing, and a node of two cores."""
    import ray
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes.add_node(num_cpus=2)
    yield nodes
    ray.shutdown()
    nodes.shutdown()
