"""Evaluations of several blocks become one."""

import numpy as np

from neuroplastic.tasks.base import Evaluation


def part(members: int, outcomes: tuple = ()) -> Evaluation:
    return Evaluation(
        np.random.default_rng().normal(size=(members, 2)), np.ones((members, 2), np.int64), outcomes=outcomes
    )


def test_outcomes_are_joined_in_order_and_failed_members_leave_none() -> None:
    parts = [part(2, ("a", "b")), part(1), part(2, ("c", "d"))]
    whole = Evaluation.concatenate(parts)
    assert whole.outcomes == ("a", "b", None, "c", "d")
    np.testing.assert_array_equal(whole.fitness, np.concatenate([each.fitness for each in parts]))


def test_where_nothing_is_left_behind_there_are_no_outcomes() -> None:
    assert Evaluation.concatenate([part(2), part(1)]).outcomes == ()
