"""The arithmetic of plastic layers: `reference` specifies it; `cpu` and `gpu` are fused and tested against it."""

BACKENDS = ("cpu", "reference", "gpu")
STORAGES = ("float32", "bfloat16", "made")
ACTIVATIONS = ("tanh", "relu", "sigmoid", "linear")
NORMALISERS = ("none", "max", "row", "clip", "standardise")

NUMERICS = 2  # raised whenever the rounding of a kernel changes; every run records it
