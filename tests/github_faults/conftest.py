"""The simulator, and the gate around it."""

from tests.github_simulator.conftest import github, repository_path, shared_simulator

__all__ = ["github", "repository_path", "shared_simulator"]
