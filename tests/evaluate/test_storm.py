"""A minute of the storm of `benchmarks/storm.py`: real processes are killed, and no number changes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "storm.py"


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_a_minute_of_storm(tmp_path: Path) -> None:
    """Workers, raylets and the driver are killed, all nodes leave; then everything equals a run in one process."""
    file = tmp_path / "storm.json"
    words = [sys.executable, str(SCRIPT), "--seconds", "60", "--every", "8", "--json", str(file)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=1100)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found = json.loads(file.read_text())
    assert found["generations lost"] == 0
    assert found["generations"] > 5
    assert len(found["strikes"]) == 5, "each kind"
