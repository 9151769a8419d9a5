"""The simulator, and our client whose every request is checked."""

from tests.github.conftest import (
    api,
    github,
    recorder,
    repository_path,
    shared_simulator,
)

__all__ = ["api", "github", "recorder", "repository_path", "shared_simulator"]
