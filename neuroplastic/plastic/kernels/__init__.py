"""The arithmetic of plastic layers: `reference` specifies it, `cpu` is fused and tested against the reference."""

BACKENDS = ("cpu", "reference")
ACTIVATIONS = ("tanh", "relu", "sigmoid", "linear")
NORMALISERS = ("none", "max", "row", "clip", "standardise")

NUMERICS = 2  # raised whenever the rounding of a kernel changes; every run records it
