"""What the numbers of a run depend on, beside its recipe."""

from __future__ import annotations

import platform
from importlib import metadata

import torch

from neuroplastic.plastic.device import named_device
from neuroplastic.plastic.kernels import NUMERICS


def versions(device: str = "cpu") -> dict[str, str]:
    """What the numbers of a run depend on, on a device as recipes name it."""
    import llvmlite.binding

    place = named_device(device)
    names = ["neuroplastic", "numpy", "torch", "numba", "gymnasium", "pybullet", "box2d", "scikit-learn"]
    if place.type != "cpu":
        names.append("triton")
    found = {
        "numerics": str(NUMERICS),
        "python": platform.python_version(),
        "cpu": llvmlite.binding.get_host_cpu_name(),
    }
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    if place.type != "cpu":
        found["device"] = torch.cuda.get_device_name(place) if torch.cuda.is_available() else str(place)
    return found
