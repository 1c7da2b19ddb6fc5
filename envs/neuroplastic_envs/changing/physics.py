"""A step of n of N bodies at once, compiled: the stock environments' formulas in the stock environments' order of sums.

Everything compiled, and every constant in it, is in this file: numba's cache does not see a change in another one. All
functions have the same arguments, and no row depends on the others:

* rows: [n] those that move, int64;
* figures: [N, 2, F] of the bodies before and after their change, in the order of the namesake in `vector`;
* now: [N] 0 or 1, which of the two it is in this step;
* states: [N, S] float64, changed in place, as are the last three;
* actions: [N] whole numbers, or [N, 1] float32 or float64;
* two: 2.0. NumPy's scalars are squared by the C library's pow, which rounds once in a thousand times unlike a product;
  an exponent that the compiler knew would become one;
* observations: [N, I] float32;
* rewards: [N] float64;
* ended: [N] bool.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numba.np.unsafe.ndarray import to_fixed_tuple

GRAVITY = 9.8  # m/s², of the acrobot

compiled = njit(nogil=True, cache=True, error_model="numpy")
numbers: Any = to_fixed_tuple  # (array, how many)


@compiled
def cart_poles(rows, figures, now, states, actions, two, observations, rewards, ended):
    """The fifth number of a state is 1 after a pole has fallen."""
    for row in rows:
        force, gravity, mass, total, length, moment, tau, far, steep, living, falling, fallen = numbers(
            figures[row, now[row]], 12
        )
        x, x_dot, theta, theta_dot, fell = numbers(states[row], 5)
        if actions[row] != 1:
            force = -force
        cos, sin = math.cos(theta), math.sin(theta)
        push = (force + moment * (theta_dot * theta_dot) * sin) / total
        theta_acc = (gravity * sin - cos * push) / (length * (4.0 / 3.0 - mass * (cos * cos) / total))
        x_acc = push - moment * theta_acc * cos / total
        x, x_dot = x + tau * x_dot, x_dot + tau * x_acc
        theta, theta_dot = theta + tau * theta_dot, theta_dot + tau * theta_acc

        ended[row] = x < -far or x > far or theta < -steep or theta > steep
        rewards[row] = (fallen if fell else falling) if ended[row] else living
        states[row] = x, x_dot, theta, theta_dot, 1.0 if ended[row] else fell
        observations[row] = x, x_dot, theta, theta_dot


@compiled
def _arm(own, state, torque, two):
    """Speeds and accelerations of an acrobot's two angles."""
    m1, m2, l1, lc1, lc2, inertia = numbers(own[3:], 6)
    theta1, theta2, dtheta1, dtheta2 = numbers(state, 4)
    cos2, sin2 = math.cos(theta2), math.sin(theta2)
    d1 = m1 * lc1**2 + m2 * (l1**2 + lc2**2 + 2 * l1 * lc2 * cos2) + inertia + inertia
    d2 = m2 * (lc2**2 + l1 * lc2 * cos2) + inertia
    phi2 = m2 * lc2 * GRAVITY * math.cos(theta1 + theta2 - math.pi / 2.0)
    phi1 = (
        -m2 * l1 * lc2 * math.pow(dtheta2, two) * sin2
        - 2 * m2 * l1 * lc2 * dtheta2 * dtheta1 * sin2
        + (m1 * lc1 + m2 * l1) * GRAVITY * math.cos(theta1 - math.pi / 2)
        + phi2
    )
    ddtheta2 = (torque + d2 / d1 * phi1 - m2 * l1 * lc2 * math.pow(dtheta1, two) * sin2 - phi2) / (
        m2 * lc2**2 + inertia - math.pow(d2, two) / d1
    )
    return np.array([dtheta1, dtheta2, -(d2 * ddtheta2 + phi1) / d1, ddtheta2])


@compiled
def _wrapped(angle):
    while angle > math.pi:
        angle -= 2 * math.pi
    while angle < -math.pi:
        angle += 2 * math.pi
    return angle


@compiled
def acrobots(rows, figures, now, states, actions, two, observations, rewards, ended):
    """Fourth-order Runge-Kutta."""
    for row in rows:
        own, before = figures[row, now[row]], states[row]
        torque, dt = own[actions[row]], own[9]
        k1 = _arm(own, before, torque, two)
        k2 = _arm(own, before + dt / 2.0 * k1, torque, two)
        k3 = _arm(own, before + dt / 2.0 * k2, torque, two)
        k4 = _arm(own, before + dt * k3, torque, two)
        after = before + dt / 6.0 * (k1 + 2 * k2 + 2 * k3 + k4)

        theta1, theta2 = _wrapped(after[0]), _wrapped(after[1])
        dtheta1, dtheta2 = min(max(after[2], -own[10]), own[10]), min(max(after[3], -own[11]), own[11])
        ended[row] = -math.cos(theta1) - math.cos(theta2 + theta1) > 1.0
        rewards[row] = 0.0 if ended[row] else -1.0
        states[row] = theta1, theta2, dtheta1, dtheta2
        observations[row, :2] = math.cos(theta1), math.sin(theta1)
        observations[row, 2:4] = math.cos(theta2), math.sin(theta2)
        observations[row, 4:] = dtheta1, dtheta2


@compiled
def pendulums(rows, figures, now, states, actions, two, observations, rewards, ended):
    """Torques, and what is computed of them alone, have the precision of the actions."""
    kind = actions.dtype.type
    for row in rows:
        sign, weight, ease, dt, fastest, strongest = numbers(figures[row, now[row]], 6)
        theta, speed = numbers(states[row], 2)
        torque = min(max(kind(sign) * actions[row, 0], kind(-strongest)), kind(strongest))
        angle = (theta + math.pi) % (2 * math.pi) - math.pi
        cost = math.pow(angle, two) + 0.1 * math.pow(speed, two) + kind(0.001) * kind(math.pow(torque, kind(two)))
        speed = speed + (weight * math.sin(theta) + kind(ease) * torque) * dt
        speed = min(max(speed, -fastest), fastest)
        theta = theta + speed * dt
        rewards[row] = -cost
        states[row] = theta, speed
        observations[row] = math.cos(theta), math.sin(theta), speed
