"""PyBullet, loaded without its banner; or an error that says how to get it."""

import importlib
import os
from pathlib import Path
from types import ModuleType


def _load() -> ModuleType:
    """Imports pybullet. It writes its build time to file descriptor 2 while it is loaded, so that is held shut."""
    try:
        stderr = os.dup(2)
    except OSError:  # it is closed already
        return importlib.import_module("pybullet")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        return importlib.import_module("pybullet")
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


try:
    pybullet = _load()
    DATA = Path(importlib.import_module("pybullet_data").getDataPath())
except ImportError as error:
    raise ImportError(
        f"the quadruped needs PyBullet; it comes with: pip install 'neuroplastic[quadruped]' ({error})"
    ) from error
