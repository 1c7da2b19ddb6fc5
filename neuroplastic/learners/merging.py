"""Evolve and merge: rules that have become alike become one, and the search goes on with fewer.

Pedersen & Risi 2021, "Evolving and merging Hebbian learning rules". N synapses, K rules, D' numbers of a vector.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_range, check_shape, require
from neuroplastic.genome import Codec, Identity
from neuroplastic.noise import stream
from neuroplastic.plastic.sharing import Groups, Synapses, replaced
from neuroplastic.search.projection import Projection


@dataclass(frozen=True)
class Merge:
    """At the start of a generation, counted from 0, the rules become so many groups."""

    generation: int
    groups: int


class Merging:
    """When rules are merged, and into how many.

    Args:
        synapses: whose rules they are.
        start: the codec that the search begins with: each synapse has its own rule, or groups have.
        merges: in the order in which they happen.
        seed: of the clustering.

    Raises:
        ArgumentError: there is no merge, generations do not rise, groups do not become fewer, or the codec shares in
            another way.
        MissingExtraError: scikit-learn is not installed.
    """

    def __init__(self, synapses: Synapses, start: Codec, merges: Sequence[Merge], seed: int) -> None:
        if not merges:
            raise ArgumentError("merge: expected at least one; got none")
        if not isinstance(start, Identity | Groups):
            raise ArgumentError(
                "merge: expected rule.sharing 'synapse' or 'groups', whose rules can be merged; "
                f"got a codec of {type(start).__name__}"
            )
        first, most = 0, start.number if isinstance(start, Groups) else synapses.number
        for place, merge in enumerate(merges):
            check_range(f"merge.{place}.generation", merge.generation, low=first)
            check_range(f"merge.{place}.groups", merge.groups, low=1, high=most)
            first, most = merge.generation + 1, merge.groups - 1
        require("sklearn", "sklearn")
        self.synapses, self.start, self.merges, self.seed = synapses, start, tuple(merges), seed

    def due(self, generation: int) -> Merge | None:
        """The merge of a generation."""
        return next((merge for merge in self.merges if merge.generation == generation), None)

    def merged(self, codec: Codec, vector: Tensor, merge: Merge) -> Groups:
        """The groups that a merge makes of the rules in a vector [D']: those that are near each other become one."""
        rule_of = codec.assignment if isinstance(codec, Groups) else torch.arange(self.synapses.number)
        rules = self.synapses.rules(codec.decode(vector[None])[0])
        first = np.unique(rule_of.numpy(), return_index=True)[1]  # of each rule, a synapse that follows it
        source = stream(self.seed, "merge", merge.generation)
        clusters = clustered(rules.double().numpy()[first], merge.groups, source % 2**32)
        return Groups(self.synapses, torch.from_numpy(clusters)[rule_of.long()])

    def state_dict(self, codec: Codec) -> dict[str, Tensor]:
        """Which groups there are now: ``assignment``, int32 [N]; [0] before the first merge."""
        if isinstance(codec, Groups) and codec is not self.start:
            return codec.state_dict()
        return {"assignment": torch.zeros(0, dtype=torch.int32)}

    def restored(self, state: Mapping[str, Any], generation: int) -> Codec:
        """The codec that a `state_dict` was of, after so many generations.

        Raises:
            ArgumentError, ShapeError: it is that of other merges or another network.
        """
        assignment = torch.as_tensor(state["assignment"])
        check_shape("assignment", assignment, ["N"])
        groups = Groups(self.synapses, assignment.clone()) if len(assignment) else None
        done = [merge.groups for merge in self.merges if merge.generation < generation]
        wanted, found = done[-1] if done else "no", groups.number if groups else "no"
        if wanted != found:
            raise ArgumentError(
                f"assignment: expected {wanted} merged groups after {generation} generations; got {found}"
            )
        return groups or self.start


def projection(old: Codec, new: Groups) -> Projection:
    """From vectors of a codec to those of the groups that its rules were merged into.

    Raises:
        ArgumentError: the groups divide rules of before.
    """
    return Projection(replaced(old, new))


def clustered(rules: npt.NDArray[np.float64], groups: int, seed: int) -> npt.NDArray[np.int32]:
    """k-means: the cluster of each rule [N, T], none of the K empty: int32 [N].

    The same on any number of cores. Where fewer than K rules differ, equal ones are apart.
    """
    cluster, threads = require("sklearn.cluster", "sklearn"), require("threadpoolctl", "sklearn")
    # One thread: sums of several round in the order of their arrival.
    with threads.threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that fewer rules differ than were asked for
        found = cluster.KMeans(groups, n_init=1, random_state=seed, algorithm="lloyd").fit(rules)
    clusters = found.labels_.astype(np.int32)
    counts = np.bincount(clusters, minlength=groups)
    for empty in np.flatnonzero(counts == 0):
        largest = counts.argmax()
        moved = np.flatnonzero(clusters == largest)[: counts[largest] // 2]
        clusters[moved] = empty
        counts[empty], counts[largest] = len(moved), counts[largest] - len(moved)
    return clusters
