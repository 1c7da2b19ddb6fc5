"""Every learned rule in several forms."""

from neuroplastic.learned.base import UpdateRule
from neuroplastic.learned.blur import Blur
from neuroplastic.learned.descent import SGD, Adam
from neuroplastic.learned.known import back_propagation, hebb

RULES: dict[str, UpdateRule] = {
    "blur": Blur(),
    "blur-3": Blur(states=3),
    "multiplicative": Blur(states=3, backward="multiplicative", activation="tanh", backward_activation="linear"),
    "second-state": Blur(states=3, backward="second-state", activation="sigmoid", backward_activation="tanh"),
    "symmetric": Blur(symmetric=True),
    "one-state": Blur(one_state=True),
    "symmetric one-state": Blur(symmetric=True, one_state=True),
    "oja": Blur(oja=True),
    "synapse norm": Blur(synapse_norm=True),
    "symmetric synapse norm": Blur(synapse_norm=True, symmetric=True),
    "activation norm": Blur(activation_norm=True),
    "no gates": Blur(gates=False),
    "saturation": Blur(saturation=True),
    "saturation, no gates": Blur(saturation=True, gates=False),
    "a genome per layer": Blur(layers=2),
    "slope": Blur(slope=True, feedback="squared-error"),
    "everything": Blur(states=3, oja=True, synapse_norm=True, activation_norm=True, saturation=True, layers=2),
    "back-propagation": back_propagation()[0],
    "hebb": hebb(0.1)[0],
    "sgd": SGD(),
    "adam": Adam(),
}
