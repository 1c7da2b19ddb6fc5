"""Physics: bit for bit those of the stock environment, whose bodies Box2D moves."""

import Box2D
import numpy as np
import pytest
from gymnasium.envs.box2d.car_racing import CarRacing
from gymnasium.utils.seeding import np_random
from hypothesis import given, settings
from hypothesis import strategies as some
from neuroplastic_envs.car_racing import cars as cars_module
from neuroplastic_envs.car_racing import physics, solver, tiles
from neuroplastic_envs.car_racing.cars import DISCRETE, Cars
from neuroplastic_envs.car_racing.track import make_track


class Stock(CarRacing):
    """The stock environment without its pictures, which are nearly all of its time."""

    shown = 0.0  # the reward when a picture is made

    def _render(self, mode):
        self.shown = self.reward


def view(stock: Stock) -> np.ndarray:
    hull, wheels = stock.car.hull, stock.car.wheels
    seen = [stock.t, stock.shown, *hull.position, hull.angle]
    seen.append(np.sqrt(np.square(hull.linearVelocity[0]) + np.square(hull.linearVelocity[1])))
    seen += [hull.angularVelocity, wheels[0].joint.angle, *(wheel.omega for wheel in wheels)]
    for wheel in wheels:
        seen += [*wheel.position, wheel.angle, wheel.phase]
    return np.array(seen)


# Drivers: a function of the step, the track's points, the car's view and a random generator; actions held for 8 steps.


def still(step, points, seen, rng):
    return np.zeros(3)


def gentle(step, points, seen, rng):
    return rng.uniform((-0.3, 0, 0), (0.3, 0.3, 0.05))


def wild(step, points, seen, rng):
    """Out of every range too: steering beyond the limit, negative gas and brake."""
    return rng.uniform(-1.5, 1.5, 3)


def jerky(step, points, seen, rng):
    """Full steering and blocked wheels."""
    return rng.choice([-1.0, 0.0, 1.0], 3)


def away(step, points, seen, rng):
    """Straight out of the field."""
    x, y = seen[physics.HULL : physics.HULL + 2]
    return towards(np.arctan2(y, x), 60, seen)


def good(step, points, seen, rng):
    """Follows the road."""
    x, y = seen[physics.HULL : physics.HULL + 2]
    here = int(np.argmin((points[:, 2] - x) ** 2 + (points[:, 3] - y) ** 2))
    ahead = points[(here + 5) % len(points)]
    return towards(np.arctan2(ahead[3] - y, ahead[2] - x), 40, seen)


def towards(direction, fastest, seen):
    """Turns to a direction, at the speed that the turn allows."""
    turn = direction - np.pi / 2 - seen[physics.HULL + 2]
    turn = (turn + np.pi) % (2 * np.pi) - np.pi
    speed, wanted = seen[physics.SPEED], fastest / (1 + 4 * abs(turn))
    return np.clip([-2.5 * turn, 0.6 * (speed < wanted), 0.4 * (speed > wanted + 8)], (-1, 0, 0), 1)


DRIVERS = {driver.__name__: driver for driver in (still, gentle, wild, jerky, away, good)}
HOLD = {"still": 1, "away": 1, "good": 1}


def compare(driver: str, seed: int, steps: int, **options) -> tuple[bool, dict]:
    """Drives both for so many steps or until the end; returns how the stock environment's episode ended."""
    stock, cars, rng = Stock(**options), Cars(1, **options), np.random.default_rng(seed)
    stock.reset(seed=seed)
    cars.reset(0, np_random(seed)[0])
    action = np.zeros(3, np.float32)
    assert_same(stock, cars)
    for step in range(steps):
        if step % HOLD.get(driver, 8) == 0:
            points = cars.tracks[0].points
            action = DRIVERS[driver](step, points, cars.views[0], rng).astype(np.float32)
        _, reward, terminated, _, info = stock.step(action)
        told = cars.step(np.array([0]), action[None])
        assert [value.item() for value in told] == [reward, terminated, info.get("lap_finished", False)], step
        assert_same(stock, cars)
        if terminated:
            return True, info
    return False, {}


def assert_same(stock: Stock, cars: Cars) -> None:
    assert np.array_equal(cars.views[0], view(stock))
    count = len(stock.road)
    assert np.array_equal(cars.earned[0, :count], [tile.road_visited for tile in stock.road])
    plain = [np.array_equal(tile.color, stock.road_color) for tile in stock.road]
    assert np.array_equal(cars.visited[0, :count] | (np.arange(count) % 3 == 0), plain)


@pytest.mark.parametrize("driver", DRIVERS)
def test_drives_as_the_stock(driver, seed):
    compare(driver, seed, 250)


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["gentle", "wild", "jerky", "good"])
def test_drives_as_the_stock_for_long(driver, seed):
    for number in range(20):
        compare(driver, seed + number, 1000)


def test_whole_lap():
    assert compare("good", 1, 1500) == (True, {"lap_finished": True})


def test_leaves_the_field(seed):
    assert compare("away", seed, 2000) == (True, {"lap_finished": False})


@pytest.mark.parametrize("percent", [0.0, 0.002, 0.004, 0.006, 0.01])
def test_lap_that_is_complete_at_once(percent, seed):
    compare("away", seed, 50, lap_complete_percent=percent)


def test_random_colors_leave_physics_alone(seed):
    compare("gentle", seed, 20, domain_randomize=True)


@pytest.mark.parametrize("action", range(5))
def test_discrete_actions(action, seed, rng):
    stock, cars = Stock(continuous=False), Cars(1)
    stock.reset(seed=seed)
    cars.reset(0, np_random(seed)[0])
    for step in range(60):
        chosen = action if step % 20 < 10 else rng.integers(5)
        _, reward, *_ = stock.step(chosen)
        assert cars.step(np.array([0]), DISCRETE[[chosen]])[0] == reward
        assert_same(stock, cars)


def test_masses_are_those_of_box2d():
    stock = Stock()
    stock.reset(seed=0)
    hull, wheel, one = stock.car.hull, stock.car.wheels[0], np.float32(1)
    assert one / np.float32(hull.mass) == solver.HULL_M
    assert one / np.float32(wheel.mass) == solver.WHEEL_M
    assert one / np.float32(wheel.inertia) == solver.WHEEL_I
    assert tuple(hull.localCenter) == tuple(solver.HULL_CENTER)
    inertia = 1 / float(solver.HULL_I) + hull.mass * hull.localCenter.lengthSquared  # of the hull's origin
    assert inertia == pytest.approx(hull.inertia, rel=1e-6)


def test_polygons_are_those_of_box2d():
    stock = Stock()
    stock.reset(seed=0)
    for body, polygons in (
        (stock.car.hull, tiles.HULL_POLYGONS),
        (stock.car.wheels[0], (tiles.WHEEL_POLYGON,)),
    ):
        for fixture, polygon in zip(body.fixtures, polygons, strict=True):
            assert np.array_equal(np.array(fixture.shape.vertices, np.float32), polygon)


@pytest.mark.parametrize("driver", ["gentle", "wild", "good"])
def test_cars_do_not_see_each_other(driver, seed, rng):
    """In a crowd, in any order, with others reset and left out: each as if alone."""
    crowd, alone = Cars(5), [Cars(1) for _ in range(5)]
    for row in range(5):
        crowd.reset(row, np_random(seed + row)[0])
        alone[row].reset(0, np_random(seed + row)[0])
    for step in range(120):
        rows = rng.permutation(5)[: rng.integers(6)]
        actions = np.array([DRIVERS[driver](step, crowd.tracks[row].points, crowd.views[row], rng) for row in rows])
        told = crowd.step(rows, actions.reshape(-1, 3))
        for number, row in enumerate(rows):
            own = alone[row].step(np.array([0]), actions[[number]])
            assert [value[number] for value in told] == [value[0] for value in own]
        if step % 50 == 49:
            crowd.reset(2, np_random(seed + step)[0])
            alone[2].reset(0, np_random(seed + step)[0])
        for row in range(5):
            assert np.array_equal(crowd.views[row], alone[row].views[0])
            assert np.array_equal(crowd.visited[row], alone[row].visited[0])


def test_repeated_actions(seed, rng):
    once, often = Cars(1), Cars(1)
    for cars in (once, often):
        cars.reset(0, np_random(seed)[0])
    row = np.array([0])
    for _ in range(30):
        action = rng.uniform((-1, 0, 0), 1, (1, 3))
        told = [once.step(row, action) for _ in range(4)]
        assert often.step(row, action, repeat=4)[0] == sum(own[0] for own in told)
        assert np.array_equal(once.views, often.views)


def test_repeating_ends_with_the_episode(seed):
    """A car that leaves the field in the middle of many steps makes no more of them."""
    once, often = Cars(1), Cars(1)
    row = np.array([0])
    for cars in (once, often):
        cars.reset(0, np_random(seed)[0])
    for step in range(2000):
        action = away(step, None, once.views[0], None)[None]
        reward, terminated, _ = once.step(row, action)
        if terminated[0]:
            break
        often.step(row, action)
    assert terminated[0]
    rewards, terminated, finished = often.step(row, action, repeat=50)
    assert terminated[0]
    assert not finished[0]
    assert rewards[0] == reward[0]
    assert np.array_equal(once.views, often.views)


def test_makes_room_for_longer_tracks(seed, monkeypatch):
    plenty = Cars(2)
    monkeypatch.setattr(cars_module, "ROOM", 8)
    little = Cars(2)
    for cars in (plenty, little):
        views = cars.views
        cars.reset(0, np_random(seed)[0])
        cars.step(np.array([0]), np.array([[0.1, 1.0, 0.0]]), repeat=60)
        cars.reset(1, np_random(seed + 1)[0])
        cars.step(np.array([0, 1]), np.tile([0.1, 0.5, 0.0], (2, 1)), repeat=60)
        assert cars.views is views
    assert np.array_equal(plenty.views, little.views)
    for row in range(2):
        count = len(plenty.tracks[row].points)
        assert np.array_equal(plenty.visited[row, :count], little.visited[row, :count])


@settings(max_examples=30, deadline=None)
@given(number=some.integers(0, 2**32 - 1), limited=some.booleans())
def test_sweeps_left_out_change_nothing(number, limited):
    """The velocities and impulses after 180 sweeps, from any state, also where a joint is at its limit."""
    rng = np.random.default_rng(number)
    body = np.zeros((5, solver.BODY), np.float32)
    joint, poses = np.zeros((4, solver.JOINT), np.float32), np.zeros((5, 4), np.float32)
    solver.place(np.append(0, rng.uniform(-5, 5, 3)), body, joint, poses)
    scale = 10.0 ** rng.uniform(-6, 1)
    body[:, solver.VX : solver.TURN + 1] = rng.normal(0, scale, (5, 3)) + rng.normal(0, 10, 3) * rng.integers(2)
    joint[:, solver.TARGET] = rng.choice([0, 3, -3, 0.1], 4)
    joint[:, solver.PX : solver.MOTOR_P + 1] = rng.normal(0, scale, (4, 4))
    if limited:
        body[:4, solver.ANGLE] += rng.choice([0, 0.5, -0.5], 4)
    solver._warm_start(body, joint, poses)
    slow_body, slow_joint = body.copy(), joint.copy()
    solver._solve_velocities(body, joint)
    for _ in range(180):
        solver._sweep_velocities(slow_body, slow_joint)
    assert np.array_equal(body[:, : solver.REST], slow_body[:, : solver.REST])
    assert np.array_equal(joint[:, : solver.AT], slow_joint[:, : solver.AT])


def test_sweeps_are_left_out(rng):
    """A state that a sweep does not change is left at once, with impulses that have grown as in 180 sweeps."""
    body = np.zeros((5, solver.BODY), np.float32)
    joint, poses = np.zeros((4, solver.JOINT), np.float32), np.zeros((5, 4), np.float32)
    solver.place(rng.uniform(-5, 5, 4), body, joint, poses)
    solver._warm_start(body, joint, poses)
    assert solver._leap(body, joint, 179, 1) == 179
    assert solver._leap(body, joint, 179, 2) == 178
    assert solver._leap(body, joint, 1, 1) == 0


@pytest.fixture(scope="module")
def track():
    return make_track(np.random.default_rng())


@settings(max_examples=300, deadline=None)
@given(
    tile=some.integers(0, 10**6),
    edge=some.integers(0, 3),
    along=some.floats(-0.1, 1.1),
    out=some.floats(-1.0, 1.0),
    turn=some.floats(-4, 4),
    body=some.sampled_from([0, 4]),
)
def test_touches_as_box2d(track, tile, edge, along, out, turn, body):
    """Wheels and hulls around the edges of tiles, against Box2D's own test."""
    tile %= len(track.shapes)
    a, b = track.shapes[tile, edge].astype(float), track.shapes[tile, (edge + 1) % 4].astype(float)
    ahead = (b - a) / max(np.hypot(*(b - a)), 1e-6)
    x, y = (a + along * (b - a) + out * (2.9 if body == tiles.HULL else 0.6) * np.array([ahead[1], -ahead[0]])).tolist()
    road = Box2D.b2PolygonShape(vertices=[tuple(corner) for corner in track.tiles[tile].tolist()])
    transform, nowhere = Box2D.b2Transform(), Box2D.b2Transform()
    transform.Set((x, y), turn)
    nowhere.SetIdentity()
    poses = np.zeros((5, 4), np.float32)
    poses[body] = *transform.position, transform.q.s, transform.q.c

    expected = []
    for polygon in tiles.HULL_POLYGONS if body == tiles.HULL else (tiles.WHEEL_POLYGON,):
        shape = Box2D.b2PolygonShape(vertices=polygon.tolist())
        expected.append(Box2D.b2TestOverlap(road, 0, shape, 0, nowhere, transform))
        assert tiles.touch(track.shapes, tile, polygon, poses, body) == expected[-1]
    reach = tiles.HULL_REACH if body == tiles.HULL else tiles.WHEEL_REACH
    side = tiles._where(track.shapes, tile, poses, body, reach)
    assert side == tiles.CLOSE or (side == tiles.OVER) == any(expected)
