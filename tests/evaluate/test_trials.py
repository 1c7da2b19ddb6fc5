"""Blocks that end and are lost in any order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from neuroplastic.evaluate.trials import Trials
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.statistics import Statistics


def part(block: range, episodes: int) -> Evaluation:
    """Fitness tells member and episode."""
    fitness = np.add.outer(np.array(block, float), np.arange(episodes) / 100)
    seen = Statistics(fitness + 1, fitness[..., None] + [2, 3], fitness[..., None] + [4, 5])
    return Evaluation(fitness, np.ones(fitness.shape, np.int64), {"distance": -fitness}, {}, seen)


@given(
    members=st.integers(1, 30),
    batch=st.integers(1, 8),
    episodes=st.integers(1, 3),
    tries=st.integers(1, 4),
    workers=st.integers(1, 4),
    data=st.data(),
)
def test_only_the_culprits_fail(members: int, batch: int, episodes: int, tries: int, workers: int, data: st.DataObject):
    """Workers take blocks and end in any order; some members end their worker always, and some blocks are unlucky."""
    culprits = data.draw(st.sets(st.integers(0, members - 1)), "culprits")
    trials, taken, died = Trials(members, batch, episodes, tries), [], dict.fromkeys(culprits, 0)
    assert [list(block) for block in trials.waiting] == [
        list(range(members))[start : start + batch] for start in range(0, members, batch)
    ]
    while trials.done < members:
        while trials.waiting and len(taken) < workers:
            taken.append(trials.waiting.popleft())
        block = taken.pop(data.draw(st.integers(0, len(taken) - 1), "who ends"))
        unlucky = len(block) > 1 and data.draw(st.booleans(), "unlucky")
        if unlucky or culprits.intersection(block):
            trials.lose(block, "killed its worker")
            if len(block) == 1:
                died[block.start] += 1
        else:
            trials.end(block, part(block, episodes))
    assert not taken
    assert not trials.waiting
    assert set(died.values()) <= {tries}

    tried, everybody = trials.evaluation(), part(range(members), episodes)
    fine = np.array([member not in culprits for member in range(members)])
    np.testing.assert_array_equal(tried.fitness[fine], everybody.fitness[fine])
    assert np.isnan(tried.fitness[~fine]).all()
    np.testing.assert_array_equal(tried.steps, np.where(fine[:, None], 1, np.zeros((1, episodes))))
    reasons = {f"killed its worker, {tries} times": len(culprits) * episodes} if culprits else {}
    assert tried.failures == reasons
    if not fine.any():
        assert not tried.measures
        assert tried.statistics is None
        return
    np.testing.assert_array_equal(tried.measures["distance"], -tried.fitness)
    assert tried.statistics is not None
    assert everybody.statistics is not None
    for got, all_fine in zip(vars(tried.statistics).values(), vars(everybody.statistics).values(), strict=True):
        np.testing.assert_array_equal(got[fine], all_fine[fine])
        assert not got[~fine].any()
