"""Plastic layers and fronts on a GPU, by Triton: the same formulas as on the cpu, each step of them in float32."""

from neuroplastic.plastic.kernels.gpu.front import DeviceFront
from neuroplastic.plastic.kernels.gpu.layer import HebbianLayer
from neuroplastic.plastic.kernels.gpu.sampled import made

__all__ = ["DeviceFront", "HebbianLayer", "made"]
