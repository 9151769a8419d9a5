"""The function's modules, found as Lambda finds them: from its own folder."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[2] / "functions" / "api"


def module(name: str) -> ModuleType:
    """A module of functions/api."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    return importlib.import_module(name)
