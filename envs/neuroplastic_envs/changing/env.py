"""What environments that change in mid-life have in common."""

from abc import abstractmethod
from typing import Any, ClassVar

import gymnasium

from .. import checks
from .change import Change, parse_change


class ChangingEnv(gymnasium.Env[Any, Any]):
    """Before a stock environment in a list of bases: lets the body of that change in mid-life.

    Before the change all is bit for bit the stock environment; after it, the stock environment with other attributes.
    Observations do not tell of the change: an agent can notice it by its consequences only.

    **info**, also that of `reset`: ``steps_changed``, how many steps of this life the changed body has taken;
    ``changed``, whether it has taken any.

    Args:
        damage: what changes and when, such as ``"mirrored@50-150"`` (see `change`); None for nothing. Named as the
            quadruped's, so that what damages one body in mid-life does so to any.
        options: those of the stock environment.

    `reset` takes the stock environment's ``options``, and ``damage``: as above, in place of the constructor's, for this
    episode only.

    Raises:
        ChangeError: ``damage`` cannot be understood.
        ValueError: `reset` knows no such option.
    """

    reset_options: ClassVar[tuple[str, ...]]
    """That the stock environment's reset takes."""

    def __init__(self, damage: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._damage = self._parse(damage)
        self._change: Change | None = None
        self._change_step = self._steps = 0
        self._before: dict[str, Any] = {}  # the attributes that have changed, as they were

    @abstractmethod
    def attributes(self, kind: str) -> dict[str, Any]:
        """Those that are different after a change of this kind, and what they are then."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        options = dict(options or {})
        checks.check_options(options, ("damage", *self.reset_options))
        change = self._parse(options.pop("damage")) if "damage" in options else self._damage
        vars(self).update(self._before)
        self._before = {}
        observation, info = super().reset(seed=seed, options=options or None)
        self._change, self._steps = change, 0
        self._change_step = 0 if change is None else change.draw(self.np_random)
        self._change_if_due()
        return observation, info | self._told()

    def step(self, action: Any) -> Any:  # the stock environments' results are narrower, each in its own way
        observation, reward, terminated, truncated, info = super().step(action)
        self._steps += 1
        self._change_if_due()
        return observation, reward, terminated, truncated, info | self._told()

    def _parse(self, damage: str | None) -> Change | None:
        return parse_change(damage, self.metadata["damages"])

    def _change_if_due(self) -> None:
        if self._change is not None and self._steps == self._change_step:
            after = self.attributes(self._change.kind)
            self._before = {name: getattr(self, name) for name in after}
            vars(self).update(after)

    def _told(self) -> dict[str, Any]:
        steps = 0 if self._change is None else max(0, self._steps - self._change_step)
        return {"changed": steps > 0, "steps_changed": steps}
