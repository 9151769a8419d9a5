"""A GitHub of our own on loopback: stateful, over a real git repository, checked against OpenAPI.

It is for tests and for `make run`. `running_simulator` runs one inside a test; `SimulatorServer`
gives its address and its state; `python -m local.github_simulator` runs one by itself.
"""

from local.github_simulator.server import SimulatorServer, running_simulator

__all__ = ["SimulatorServer", "running_simulator"]
