"""Gymnasium environments, useful without anything else of neuroplastic.

Importing this package registers them, so both of these work:
``gymnasium.make("neuroplastic_envs:neuroplastic/Quadruped-v0")``, or the bare id after ``import neuroplastic_envs``.
So does ``gymnasium.make_vec`` with either, for many in lockstep.
"""

from gymnasium import register

register(
    id="neuroplastic/Quadruped-v0",
    entry_point="neuroplastic_envs.quadruped.env:QuadrupedEnv",
    vector_entry_point="neuroplastic_envs.quadruped.vector:QuadrupedVectorEnv",
    max_episode_steps=1000,
)
register(
    id="neuroplastic/CarRacing-v0",
    entry_point="neuroplastic_envs.car_racing.env:CarRacingEnv",
    vector_entry_point="neuroplastic_envs.car_racing.vector:CarRacingVectorEnv",
    max_episode_steps=1000,
)
for _body, _limit in (("CartPole", 500), ("Acrobot", 500), ("Pendulum", 200)):  # Gymnasium's own limits
    register(
        id=f"neuroplastic/Changing{_body}-v0",
        entry_point=f"neuroplastic_envs.changing.bodies:Changing{_body}Env",
        vector_entry_point=f"neuroplastic_envs.changing.vector:Changing{_body}VectorEnv",
        max_episode_steps=_limit,
    )
