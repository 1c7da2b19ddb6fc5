"""The PyBullet Ant with legs that can be damaged: ``neuroplastic/Quadruped-v0``. See `env.QuadrupedEnv`."""
