"""What the controls' intervals mean, in one line; where they decide nothing, the line says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neuroplastic.experiment.recovery import Recovered
from neuroplastic.experiment.scores import bootstrap_interval

MARGIN = 0.1  # of the living agent's return: less is no difference worth a word
FEWEST = 10  # episodes below which no interval is believed

Verdict = Literal["as well", "worse", "better", "undecided"]
NO_WORSE: tuple[Verdict, ...] = ("as well", "better")


@dataclass(frozen=True)
class Difference:
    """How much more the one returned than the other in the same episodes: mean and 95 % bootstrap interval.

    Attributes:
        episodes: in which neither failed.
    """

    mean: float
    low: float
    high: float
    episodes: int

    @classmethod
    def between(cls, returns: NDArray[np.float64], reference: NDArray[np.float64]) -> Difference | None:
        """Of returns [E] and those of the reference [E]; None if no episode has both."""
        differences = returns - reference
        differences = differences[~np.isnan(differences)]
        if len(differences) == 0:
            return None
        return cls(float(differences.mean()), *bootstrap_interval(differences), len(differences))

    def verdict(self, margin: float) -> Verdict:
        """ "as well" if the interval lies within ±margin; else "worse" or "better" if it lies on one side of 0."""
        if self.episodes < FEWEST:
            return "undecided"
        if -margin <= self.low and self.high <= margin:
            return "as well"
        if self.high < 0:
            return "worse"
        return "better" if self.low > 0 else "undecided"

    def __str__(self) -> str:
        return f"{self.low:.3g} … {self.high:.3g}"


@dataclass(frozen=True)
class Evidence:
    """What was found out about an agent.

    Attributes:
        margin: a difference in return that is no difference.
        frozen: step -> how much better it does with the weights that it has then.
        random_rule: how much better it does with other coefficients; None if that was not asked.
        damaged: how much better it does frozen than living, after each damage in mid-life.
        zeroed: layer -> how it recovers from that layer's loss.
    """

    margin: float
    frozen: Mapping[int, Difference]
    random_rule: Difference | None = None
    damaged: Sequence[Difference] = ()
    zeroed: Mapping[str, Recovered] = field(default_factory=dict)


def meaning(evidence: Evidence) -> str:
    """The line, most important first."""
    margin, frozen = evidence.margin, dict(sorted(evidence.frozen.items()))
    verdicts: dict[int, Verdict] = {step: difference.verdict(margin) for step, difference in frozen.items()}
    damaged: list[Verdict] = [difference.verdict(margin) for difference in evidence.damaged]
    parts = [_plasticity(frozen, verdicts, evidence.random_rule, margin)]
    if parts[0].startswith(SETTLES) and all(verdict in NO_WORSE for verdict in damaged):
        parts.append("the rules encode one network more than they adapt")
    parts += [_damage(damaged)] if damaged else []
    parts += [_zeroed(evidence.zeroed)] if evidence.zeroed else []
    return "; ".join(part for part in parts if part)


SETTLES = "its weights settle"


def _plasticity(
    frozen: dict[int, Difference], verdicts: dict[int, Verdict], random: Difference | None, margin: float
) -> str:
    if random is not None and (verdict := random.verdict(margin)) in NO_WORSE:
        return f"its rule does nothing that was found: with random coefficients it does {verdict} (difference {random})"
    if not frozen:
        return ""
    settled = None
    for step in reversed(frozen):
        if verdicts[step] not in NO_WORSE:
            break
        settled = step
    if settled is not None:
        said = f"frozen {_when(settled)} it does {verdicts[settled]} (difference {frozen[settled]})"
        return f"{SETTLES}: {said}" if settled else f"its plasticity does nothing: {said}"
    last = max(frozen)
    if verdicts[last] == "worse":
        return f"it goes on changing to its benefit: even frozen {_when(last)} it does worse ({frozen[last]})"
    worse = [step for step, verdict in verdicts.items() if verdict == "worse"]
    early = f"frozen {_when(max(worse))} it does worse ({frozen[max(worse)]}); " if worse else ""
    few = f" of {frozen[last].episodes} episodes" if frozen[last].episodes < FEWEST else ""
    return f"{early}whether frozen {_when(last)} it does as well is undecided (difference {frozen[last]}{few})"


def _when(step: int) -> str:
    return f"after {step} steps" if step else "at birth"


def _damage(verdicts: Sequence[Verdict]) -> str:
    said: dict[Verdict, str] = {
        "worse": "plasticity helps after {} of {} damages: frozen when they strike it does worse",
        "better": "plasticity harms after {} of {} damages: frozen when they strike it does better",
        "undecided": "whether plasticity helps after {} of {} damages is undecided",
    }
    parts = [
        text.format(verdicts.count(verdict), len(verdicts)) for verdict, text in said.items() if verdict in verdicts
    ]
    return "; ".join(parts) or "plasticity helps after no damage: frozen when one strikes it does as well"


def _zeroed(zeroed: Mapping[str, Recovered]) -> str:
    made_good, lost, undecided = [], [], []
    for layer, recovered in zeroed.items():
        if recovered.asked < FEWEST or recovered.share_low <= 0.5 <= recovered.share_high:
            undecided.append(f"{layer} ({recovered.share:.0%} of its lives)")
        elif recovered.share > 0.5:
            when = f"median {recovered.median:.0f} steps" if recovered.median else "at once"
            made_good.append(f"{layer} ({when})")
        else:
            lost.append(layer)
    said = {"it recovers": made_good, "it does not recover": lost, "it is undecided whether it recovers": undecided}
    return "; ".join(f"{how} from the loss of {', '.join(layers)}" for how, layers in said.items() if layers)
