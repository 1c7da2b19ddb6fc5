"""The PyBullet Ant with legs that can be damaged: ``neuroplastic/Quadruped-v0``.

See `env.QuadrupedEnv` for one, `vector.QuadrupedVectorEnv` for many in lockstep, `damage` for how damage is written.
"""
