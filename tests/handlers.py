"""Loads a function's handler as Lambda does, and gives it a context."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
EVENTS = ROOT / "tests" / "events"


class FakeContext:
    """What Lambda tells a handler about its invocation."""

    function_name = "nightdesk"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:nightdesk"
    aws_request_id = "52fdfc07-2182-454f-963f-5f0f9a621d72"

    def __init__(self, remaining_ms: int = 900_000) -> None:
        self._remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> int:
        return self._remaining_ms


def load_handler(function: str) -> ModuleType:
    """Import functions/<function>/handler.py afresh, its own folder first on the path."""
    folder = ROOT / "functions" / function
    spec = importlib.util.spec_from_file_location(f"{function}_handler", folder / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


def event(name: str) -> dict[str, Any]:
    """One of the events that `sam local invoke -e tests/events/…` takes."""
    loaded = json.loads((EVENTS / f"{name}.json").read_text())
    assert isinstance(loaded, dict)
    return loaded
