"""Gymnasium's classic control tasks, whose body changes in mid-life.

``neuroplastic/ChangingCartPole-v0``, ``neuroplastic/ChangingAcrobot-v0`` and ``neuroplastic/ChangingPendulum-v0``; see
`change` for how a change is written, and `env.ChangingEnv` for what they have in common.
"""
