"""What the numbers of a run depend on, beside its recipe."""

from __future__ import annotations

import platform
from importlib import metadata

from neuroplastic.plastic.kernels import NUMERICS


def versions() -> dict[str, str]:
    """What the numbers of a run depend on."""
    import llvmlite.binding

    found = {
        "numerics": str(NUMERICS),
        "python": platform.python_version(),
        "cpu": llvmlite.binding.get_host_cpu_name(),
    }
    for name in ("neuroplastic", "numpy", "torch", "numba", "gymnasium", "pybullet", "box2d", "scikit-learn"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
