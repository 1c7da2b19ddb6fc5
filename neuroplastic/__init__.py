"""Evolve how networks change while they live: plasticity rules, search strategies, tasks and replays."""

__version__ = "0.1.0"
