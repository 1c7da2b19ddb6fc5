"""Control by advantage actor-critic: paths are trained, and judged, by return.

Mnih et al. 2016, "Asynchronous Methods for Deep Reinforcement Learning", algorithm S3, its actors in step.
P paths, E environments each, n moves between two changes of the parameters, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, SpaceError, check_range
from neuroplastic.noise import stream, uniform
from neuroplastic.pathnet.network import Subnetwork, Tensors
from neuroplastic.tasks.bodies import find_spec, interface, step_limit
from neuroplastic.tasks.pathnet.base import Predict
from neuroplastic.tasks.spaces import observation_reader

TOGETHER = 16
"""Test episodes that are lived side by side."""


@dataclass
class ControlTask:
    """A Gymnasium environment with discrete actions. The readout has A logits and, last, the value.

    Fitness is the mean return of the episodes that ended within the trial; of those that go on, if none ended.

    Attributes:
        env: a Gymnasium id, ``module:id`` included.
        name: of the task; empty: that of the environment.
        options: keyword arguments of ``gymnasium.make``.
        physics: what is set on the unwrapped environment after it is made, such as ``{"gravity": 19.6}``.
        mirrored: action a is A - 1 - a.
        width: numbers in an observation, zeros added behind; 0: as many as there are. So tasks of different sizes are
            learned one after the other.
        environments: E.
        moves: n.
        discount: γ.
        value: weight of the critic's squared error.
        entropy: weight of the policy's entropy.
        scale: rewards are multiplied by it where they are learned from.

    Raises:
        ArgumentError: a number is out of range, the width too small, or the environment has no such physics.
        MissingExtraError: the environment needs what is not installed.
        SpaceError: actions are not discrete, or observations have no fixed size.
    """

    env: str
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    physics: Mapping[str, float] = field(default_factory=dict)
    mirrored: bool = False
    width: int = 0
    environments: int = 4
    moves: int = 16
    discount: float = 0.99
    value: float = 0.5
    entropy: float = 0.01
    scale: float = 1.0

    def __post_init__(self) -> None:
        self.name = self.name or find_spec(self.env).id
        for argument, number in {"environments": self.environments, "moves": self.moves}.items():
            check_range(argument, number, low=1)
        check_range("discount", self.discount, low=0, high=1)
        for argument in ("value", "entropy"):
            check_range(argument, getattr(self, argument), low=0)
        check_range("scale", self.scale, low=0, above=True)
        seen, acted = interface(self.env, self.options)
        if not isinstance(acted, spaces.Discrete):
            raise SpaceError(f"task {self.name!r}: expected discrete actions; got {acted}")
        shape, self.read = observation_reader(seen)
        self.size, self.actions, self.start = int(np.prod(shape)), int(acted.n), int(acted.start)
        self.width = self.width or self.size
        check_range("width", self.width, low=self.size)
        self._made: list[gymnasium.Env] = []
        self.bodies(1)

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.width,)

    @property
    def outputs(self) -> int:
        return self.actions + 1

    def trial(self, paths: int, stream: int) -> ControlTrial:
        return ControlTrial(self, paths, stream)

    def score(self, predict: Predict, seeds: Sequence[int]) -> NDArray[np.float64]:
        """Return of the episode that begins with each seed, the likeliest action taken always: [E].

        Raises:
            ArgumentError: episodes have no end.
        """
        if (step_limit(self.env, self.options) or -1) < 0:  # Gymnasium says -1 for no limit
            raise ArgumentError(f"task {self.name!r}: expected episodes of at most so many steps; got ones without end")
        returns = np.zeros(len(seeds))
        for first in range(0, len(seeds), TOGETHER):
            self._live(predict, seeds[first : first + TOGETHER], returns[first : first + TOGETHER])
        return returns

    def _live(self, predict: Predict, seeds: Sequence[int], returns: NDArray[np.float64]) -> None:
        """Adds the rewards of some episodes side by side."""
        bodies = self.bodies(len(seeds))
        observations = np.zeros((TOGETHER, self.width), np.float32)  # always as many rows: sums round differently else
        for row, (body, seed) in enumerate(zip(bodies, seeds, strict=True)):
            observations[row, : self.size] = self.read(body.reset(seed=int(seed))[0])
        going = range(len(seeds))
        while going:
            actions = predict(torch.from_numpy(observations.copy()))[:, :-1].argmax(1).tolist()
            still = []
            for row in going:
                observation, reward, terminated, truncated, _ = bodies[row].step(self.action(actions[row]))
                returns[row] += float(reward)
                observations[row, : self.size] = self.read(observation)
                if not (terminated or truncated):
                    still.append(row)
            going = still

    def action(self, number: int) -> int:
        """What the environment calls an action of the policy."""
        return self.start + (self.actions - 1 - number if self.mirrored else number)

    def bodies(self, count: int) -> list[gymnasium.Env]:
        """So many environments, made once."""
        while len(self._made) < count:
            made = gymnasium.make(self.env, **self.options, disable_env_checker=True)
            for name, number in self.physics.items():
                if not hasattr(made.unwrapped, name):
                    raise ArgumentError(f"physics: expected numbers that {self.env} has; got {name!r}")
                setattr(made.unwrapped, name, number)
            self._made.append(made)
        return self._made[:count]

    def close(self) -> None:
        """Frees the environments."""
        for made in self._made:
            made.close()
        self._made.clear()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_made": []}


class ControlTrial:
    """A `Trial` of P paths, in P · E environments that begin anew."""

    def __init__(self, task: ControlTask, paths: int, source: int) -> None:
        self.task, self.paths, self.source = task, paths, source
        self.moved = 0
        self._bodies = task.bodies(paths * task.environments)
        self._running = np.zeros(len(self._bodies))
        self._ended: list[list[float]] = [[] for _ in range(paths)]
        self._observations = np.zeros((len(self._bodies), task.width), np.float32)
        for row, body in enumerate(self._bodies):
            self._observe(row, body.reset(seed=stream(source, "episodes", row) >> 33)[0])

    def _observe(self, row: int, observation: Any) -> None:
        self._observations[row, : self.task.size] = self.task.read(observation)

    def _batch(self, numbers: NDArray[Any]) -> Tensor:
        """[P · E, …] -> [P, E, …]."""
        return torch.from_numpy(numbers.copy()).unflatten(0, (self.paths, -1))

    def gradients(self, network: Subnetwork) -> Tensors:
        task, rows = self.task, len(self._bodies)
        observed, chosen, rewards, ended = [], [], [], []
        for _ in range(task.moves):
            before = self._batch(self._observations)
            actions = self._act(network, before)
            reward, end, more = np.zeros(rows), np.zeros(rows, bool), np.zeros(rows)
            cut: list[tuple[int, NDArray[np.float32]]] = []
            for row, (body, action) in enumerate(zip(self._bodies, actions.flatten().tolist(), strict=True)):
                observation, reward[row], terminated, truncated, _ = body.step(task.action(action))
                self._running[row] += reward[row]
                self._observe(row, observation)
                end[row] = terminated or truncated
                if end[row]:
                    if not terminated:
                        cut.append((row, self._observations[row].copy()))
                    self._ended[row // task.environments].append(float(self._running[row]))
                    self._running[row] = 0
                    self._observe(row, body.reset()[0])
            for row, last in cut:  # time ran out, but what would have come has a value
                more[row] = self._value(network, row, last)
            observed.append(before)
            chosen.append(actions)
            rewards.append(self._batch(task.scale * reward + task.discount * more))
            ended.append(self._batch(end))
            self.moved += 1
        returns = self._returns(network, rewards, ended)
        losses = self._losses(network, torch.cat(observed, 1), torch.cat(chosen, 1), torch.cat(returns, 1))
        return network.gradients(losses)

    def _act(self, network: Subnetwork, observations: Tensor) -> Tensor:
        """Actions [P, E] drawn from the policy."""
        with torch.no_grad():
            logits = network.forward(observations)[..., :-1]
        drawn = uniform(stream(self.source, "actions"), len(self._bodies), self.moved * len(self._bodies))
        below = logits.softmax(-1).cumsum(-1) < drawn.view(*observations.shape[:2], 1)
        return below.sum(-1).clamp(max=self.task.actions - 1)

    def _value(self, network: Subnetwork, row: int, observation: NDArray[np.float32]) -> float:
        path = row // self.task.environments
        with torch.no_grad():
            everywhere = torch.from_numpy(observation).expand(self.paths, 1, -1)
            return float(network.forward(everywhere)[path, 0, -1])

    def _returns(self, network: Subnetwork, rewards: list[Tensor], ended: list[Tensor]) -> list[Tensor]:
        """R = r + γ R of the move after, from the critic's value of where all stand now: n times [P, E]."""
        with torch.no_grad():
            following = network.forward(self._batch(self._observations))[..., -1]
        returns = []
        for reward, end in zip(reversed(rewards), reversed(ended), strict=True):
            following = reward.to(following) + self.task.discount * following.masked_fill(end, 0)
            returns.append(following)
        return returns[::-1]

    def _losses(self, network: Subnetwork, observations: Tensor, actions: Tensor, returns: Tensor) -> Tensor:
        """Of each path [P], from all its n · E moves."""
        outputs = network.forward(observations)
        log, values = outputs[..., :-1].log_softmax(-1), outputs[..., -1]
        advantage = returns - values
        taken = log.gather(-1, actions[..., None])[..., 0]
        entropy = -(log.exp() * log).sum(-1)
        loss = self.task.value * advantage**2 - taken * advantage.detach() - self.task.entropy * entropy
        return loss.mean(1)

    def fitness(self) -> NDArray[np.float64]:
        running = self._running.reshape(self.paths, -1).mean(axis=1)
        every = [float(np.mean(own)) if own else going for own, going in zip(self._ended, running, strict=True)]
        return np.array(every, np.float64)

    @property
    def examples(self) -> int:
        return len(self._bodies) * self.moved
