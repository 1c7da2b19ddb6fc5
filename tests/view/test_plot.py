import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from neuroplastic.errors import ArgumentError, RunError
from neuroplastic.view.plot import draw_runs, plot_runs, running_mean


@pytest.fixture
def run(tmp_path: Path) -> Path:
    rows = [
        {
            "generation": g,
            "evaluations": 9 * (g + 1),
            "best": 3.0 * g,
            "mean": 1.0 * g,
            "center": None if g == 2 else 2.0 * g,
        }
        for g in range(5)
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"generation": 5, "be')
    return tmp_path


def test_curves_are_the_metrics(run: Path) -> None:
    lines = draw_runs([run]).axes[0].get_lines()
    assert [str(line.get_label()).split(": ")[1] for line in lines] == ["center", "mean of members", "best member"]
    for line, slope in zip(lines, (2, 1, 3), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [9, 18, 27, 36, 45])
        y = slope * np.arange(5.0)
        np.testing.assert_array_equal(line.get_ydata(), np.where([slope == 2 and g == 2 for g in range(5)], np.nan, y))


def test_errors(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="--output"):
        plot_runs([run], tmp_path / "curves.docx")
    with pytest.raises(ArgumentError, match="a folder that exists"):
        plot_runs([run], tmp_path / "none" / "curves.png")
    with pytest.raises(RunError, match="metrics.jsonl"):
        plot_runs([tmp_path / "none"], tmp_path / "curves.png")


def test_the_running_mean_is_that_of_a_loop() -> None:
    rng = np.random.default_rng()
    values = rng.standard_normal(50)
    values[rng.random(50) < 0.2] = np.nan
    window = int(rng.integers(2, 9))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing
        expected = [np.nanmean(values[max(0, i - window + 1) : i + 1]) for i in range(50)]
    np.testing.assert_allclose(running_mean(values, window), expected, atol=1e-12)


def test_of_many_runs_only_the_center_is_drawn(run: Path) -> None:
    lines = draw_runs([run] * 4).axes[0].get_lines()
    assert [str(line.get_label()).split(": ")[1] for line in lines] == ["center"] * 4
