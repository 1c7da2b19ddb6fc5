"""What the tests of runs share: a whole one, and an address in memory."""

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from addresses import MEMORY
from runs import create, run


@pytest.fixture
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where spools are made."""
    path = tmp_path / "spools"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


@pytest.fixture
def address() -> Iterator[str]:
    address = f"memory://{uuid.uuid4()}/run"
    yield address
    if MEMORY.exists(address):
        MEMORY.rm(address, recursive=True)


@pytest.fixture
def whole(tmp_path: Path, tiny: dict[str, Any]) -> Path:
    path = tmp_path / "whole"
    assert run(create(path, tiny))
    return path
