"""The line that says what the controls mean, and the figures below it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroplastic.experiment.meaning import Difference, Evidence, meaning
from neuroplastic.experiment.recovery import Recovered


def at(low: float, high: float, episodes: int = 20) -> Difference:
    return Difference((low + high) / 2, low, high, episodes)


AS_WELL, WORSE, BETTER, WIDE = at(-3, 5), at(-80, -40), at(30, 60), at(-40, 30)
UNHURT = Recovered(20, 1.0, 0.84, 1.0, 0, 0, 0)
NEVER = Recovered(20, 0.0, 0.0, 0.16, math.inf, math.inf, math.inf)
SOON = Recovered(20, 0.95, 0.76, 0.99, 12, 9, 20)
EVEN = Recovered(20, 0.5, 0.3, 0.7, 40, 9, math.inf)


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        (AS_WELL, "as well"),
        (at(-10, 10), "as well"),
        (at(-3, -1), "as well"),  # surely worse, but by nothing worth a word
        (at(-12, -1), "worse"),
        (at(1, 12), "better"),
        (at(-12, 0), "undecided"),
        (at(0, 12), "undecided"),
        (at(-80, -40, episodes=9), "undecided"),
        (at(0, 0, episodes=1), "undecided"),
    ],
)
def test_verdicts(difference: Difference, verdict: str) -> None:
    assert difference.verdict(10) == verdict


SETTLED = {0: WORSE, 100: AS_WELL, 250: AS_WELL}
SETTLES = "its weights settle: frozen after 100 steps it does as well (difference -3 … 5)"
ENCODES = "; the rules encode one network more than they adapt"


@pytest.mark.parametrize(
    ("evidence", "line"),
    [
        (Evidence(10, SETTLED, WORSE), SETTLES + ENCODES),
        (Evidence(10, {250: AS_WELL, 100: AS_WELL, 0: WORSE}), SETTLES + ENCODES),
        (Evidence(10, SETTLED, WIDE), SETTLES + ENCODES),
        (
            Evidence(10, SETTLED, damaged=[AS_WELL, AS_WELL]),
            SETTLES + ENCODES + "; plasticity helps after no damage: frozen when one strikes it does as well",
        ),
        (
            Evidence(10, SETTLED, damaged=[WORSE, AS_WELL, WORSE]),
            SETTLES + "; plasticity helps after 2 of 3 damages: frozen when they strike it does worse",
        ),
        (
            Evidence(10, SETTLED, damaged=[BETTER, WIDE]),
            SETTLES + "; plasticity harms after 1 of 2 damages: frozen when they strike it does better; "
            "whether plasticity helps after 1 of 2 damages is undecided",
        ),
        (
            Evidence(10, {0: WORSE, 100: BETTER}),
            "its weights settle: frozen after 100 steps it does better (difference 30 … 60)" + ENCODES,
        ),
        (
            Evidence(10, {0: AS_WELL, 100: AS_WELL}, WORSE),
            "its plasticity does nothing: frozen at birth it does as well (difference -3 … 5)",
        ),
        (
            Evidence(10, SETTLED, AS_WELL),
            "its rule does nothing that was found: with random coefficients it does as well (difference -3 … 5)",
        ),
        (
            Evidence(10, {0: WORSE, 100: AS_WELL, 250: WORSE}),
            "it goes on changing to its benefit: even frozen after 250 steps it does worse (-80 … -40)",
        ),
        (
            Evidence(10, {0: WORSE, 100: WIDE}),
            "frozen at birth it does worse (-80 … -40); "
            "whether frozen after 100 steps it does as well is undecided (difference -40 … 30)",
        ),
        (
            Evidence(10, {0: at(-80, -40, 5)}),
            "whether frozen at birth it does as well is undecided (difference -80 … -40 of 5 episodes)",
        ),
        (
            Evidence(10, SETTLED, zeroed={"layer0": SOON, "layer1": NEVER, "layer2": EVEN, "layer3": UNHURT}),
            SETTLES + ENCODES + "; it recovers from the loss of layer0 (median 12 steps), layer3 (at once); "
            "it does not recover from the loss of layer1; "
            "it is undecided whether it recovers from the loss of layer2 (50% of its lives)",
        ),
        (Evidence(10, {}), ""),
    ],
)
def test_lines(evidence: Evidence, line: str) -> None:
    assert meaning(evidence) == line


def test_differences_are_of_the_same_episodes() -> None:
    rng = np.random.default_rng()
    hard = rng.normal(0, 100, 50)  # episodes differ much, the agents little
    found = Difference.between(hard + rng.normal(3, 0.1, 50), hard)
    assert found is not None
    assert 2.8 < found.low < found.mean < found.high < 3.2
    nan = math.nan
    found = Difference.between(np.array([nan, 2.0, 5.0]), np.array([1.0, nan, 3.0]))
    assert found == Difference(2.0, 2.0, 2.0, 1)
    assert Difference.between(np.array([nan]), np.array([1.0])) is None


STEPS = st.lists(st.one_of(st.integers(0, 500).map(float), st.just(math.inf), st.just(math.nan)), max_size=40)


@given(steps=STEPS)
def test_the_median_is_one_over_all_that_were_asked(steps: list[float]) -> None:
    found = Recovered.of(np.array(steps))
    asked = sorted(number for number in steps if not math.isnan(number))
    if not asked:
        assert found is None
        return
    assert found is not None
    back = sum(number < math.inf for number in asked)
    assert (found.asked, found.share) == (len(asked), back / len(asked))
    assert found.median == asked[(len(asked) - 1) // 2]
    assert found.low <= found.median <= found.high
    assert -1e-12 <= found.share_low <= found.share + 1e-12 <= found.share_high + 2e-12 <= 1 + 3e-12
    for bound in (found.share_low, found.share_high):  # Wilson: where a share of that size is 1.96 deviations away
        deviation = math.sqrt(max(0.0, bound * (1 - bound)) / len(asked))
        assert math.isclose(abs(found.share - bound), 1.959964 * deviation, abs_tol=1e-6)
    assert list(found.summary().values()) == [None if each == math.inf else each for each in vars(found).values()]


def test_intervals_of_the_median_cover_it_as_often_as_they_say() -> None:
    rng, inside = np.random.default_rng(), 0
    for _ in range(100):
        steps = rng.exponential(100, 41)
        steps[steps > 150] = math.inf  # the limit of the lives
        found = Recovered.of(steps)
        assert found is not None
        inside += found.low <= 100 * math.log(2) <= found.high
    assert inside >= 80  # 95 % of 100, less seven standard errors
