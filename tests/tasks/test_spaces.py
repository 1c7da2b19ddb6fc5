import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuroplastic.errors import ArgumentError, SpaceError, UnknownNameError
from neuroplastic.tasks.spaces import action_writer, observation_reader, zero_action

finite = st.floats(-1e3, 1e3, width=32)


@given(hnp.arrays(np.float32, (2, 3), elements=finite), st.integers(0, 4))
def test_observations_are_flattened_as_gymnasium_does(box: np.ndarray, number: int) -> None:
    space = spaces.Dict({"a": spaces.Box(-1e3, 1e3, (2, 3)), "b": spaces.Discrete(5)})
    shape, read = observation_reader(space)
    vector = read({"a": box, "b": number})
    assert shape == vector.shape == (11,)
    assert observation_reader(space["a"])[0] == (2, 3)
    np.testing.assert_array_equal(vector[:6], box.ravel())
    np.testing.assert_array_equal(vector[6:], np.eye(5)[number])


@given(hnp.arrays(np.float32, (4, 6), elements=st.floats(-1, 1, width=32)), finite, st.floats(0.125, 100, width=32))
def test_a_bounded_box_is_stretched(outputs: np.ndarray, low: float, width: float) -> None:
    space = spaces.Box(np.float32(low), np.float32(low + width), (2, 3))
    size, write = action_writer(space)
    actions = write(outputs)
    assert size == 6
    assert all(space.contains(action) for action in actions)
    expected = low + (outputs.reshape(4, 2, 3) + 1) / 2 * width
    np.testing.assert_allclose(actions, expected, rtol=1e-4, atol=1e-3)


def test_outputs_beyond_one_are_clipped_and_sides_without_bound_pass_through() -> None:
    space = spaces.Box(np.float32([-2, -np.inf]), np.float32([2, np.inf]))
    _, write = action_writer(space)
    np.testing.assert_array_equal(write(np.float32([[7, 7], [-7, -7]])), np.float32([[2, 7], [-2, -7]]))
    np.testing.assert_array_equal(zero_action(space), [0, 0])


@given(hnp.arrays(np.float32, (3, 4), elements=finite, unique=True), st.integers(-3, 3))
def test_a_discrete_action_is_the_largest_output(outputs: np.ndarray, start: int) -> None:
    space = spaces.Discrete(4, start=start)
    size, write = action_writer(space)
    assert size == 4
    actions = write(outputs)
    assert all(space.contains(action) for action in actions)
    assert actions == [start + max(range(4), key=lambda i: output[i]) for output in outputs]


@given(hnp.arrays(np.float32, (5, 3), elements=finite))
def test_raw_outputs_are_squashed_each_in_its_way(outputs: np.ndarray) -> None:
    space = spaces.Box(np.float32([-1, 0, 0]), np.float32([1, 1, 0.5]))
    size, write = action_writer(space, ["tanh", "sigmoid", "sigmoid"])
    assert size == 3
    actions = write(outputs)
    exact = outputs.astype(np.float64)
    np.testing.assert_allclose(actions[:, 0], np.tanh(exact[:, 0]), atol=1e-6)
    sigmoid = 1 / (1 + np.exp(-np.clip(exact, -500, 500)))
    np.testing.assert_allclose(actions[:, 1], sigmoid[:, 1], atol=1e-6)
    np.testing.assert_allclose(actions[:, 2], np.minimum(sigmoid[:, 2], 0.5), atol=1e-6)
    for row in range(5):
        np.testing.assert_array_equal(write(outputs[[row]])[0], actions[row])


def test_squashes_that_do_not_fit_are_named() -> None:
    box = spaces.Box(-1, 1, (3,))
    with pytest.raises(ArgumentError, match=r"task\.squash: expected one for each of 3 outputs; got \['tanh'\]"):
        action_writer(box, ["tanh"])
    with pytest.raises(UnknownNameError, match=r"task\.squash.*'relu'"):
        action_writer(box, ["tanh", "relu", "tanh"])
    with pytest.raises(ArgumentError, match=r"task\.squash.*not a box"):
        action_writer(spaces.Discrete(2), ["tanh", "tanh"])


def test_spaces_that_cannot_be_served_are_named() -> None:
    with pytest.raises(SpaceError, match="observation space.*Sequence"):
        observation_reader(spaces.Sequence(spaces.Discrete(2)))
    with pytest.raises(SpaceError, match="action space.*MultiBinary"):
        action_writer(spaces.MultiBinary(3))
    with pytest.raises(SpaceError, match=r"task\.idle.*Discrete"):
        zero_action(spaces.Discrete(2))
