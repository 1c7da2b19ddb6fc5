import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuroplastic.tasks.statistics import CLIP, Statistics

values = st.floats(-1e3, 1e3, width=32)
tables = hnp.arrays(np.float32, st.tuples(st.integers(0, 30), st.just(3)), elements=values)


def of(table: np.ndarray) -> Statistics:
    """Of all rows of a table, one after the other."""
    statistics = Statistics.nothing(1, 3)
    for row in table:
        statistics.add(np.array([0]), row[None])
    return statistics.take(0)


@given(tables)
def test_one_at_a_time_is_numpy(table: np.ndarray) -> None:
    statistics = of(table)
    assert statistics.count == len(table)
    if len(table):
        np.testing.assert_allclose(statistics.mean, table.astype(float).mean(0), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(statistics.m2, table.astype(float).var(0) * len(table), rtol=1e-9, atol=1e-6)


@given(st.lists(tables, min_size=1, max_size=5))
def test_merged_is_computed_at_once(parts: list[np.ndarray]) -> None:
    every = Statistics.nothing(len(parts), 3)
    for row, part in enumerate(parts):
        every.put(row, of(part))
    merged, whole = every.total(), of(np.concatenate(parts))
    assert merged.count == whole.count
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(merged.m2, whole.m2, rtol=1e-9, atol=1e-6)


@given(tables.filter(lambda table: len(table) > 1))
def test_normalised_values_have_mean_0_and_variance_1(table: np.ndarray) -> None:
    normal = of(table).normalise(table)
    assert normal.dtype == np.float32
    assert np.abs(normal).max() <= CLIP
    varies = table.astype(float).std(0) > 1e-3
    np.testing.assert_allclose(normal.astype(float).mean(0)[varies], 0, atol=1e-2)
    np.testing.assert_allclose(normal.astype(float).std(0)[varies], 1, atol=1e-2)


def test_before_anything_was_seen_nothing_changes() -> None:
    table = np.float32([[1, 2, 3]])
    assert Statistics.nothing(3).normalise(table) is table


@given(tables)
def test_state_round_trip(table: np.ndarray) -> None:
    statistics = of(table)
    again = Statistics.from_state({f"x.{k}": v for k, v in statistics.state_dict().items()}, "x.")
    for name in vars(statistics):
        np.testing.assert_array_equal(getattr(again, name), getattr(statistics, name))
