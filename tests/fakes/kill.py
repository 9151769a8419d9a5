"""Ends a run between any two calls of its ports, as a lost process does."""

from collections.abc import Callable
from typing import Any, TypeVar

Port = TypeVar("Port")


class Kill(BaseException):
    """The process is gone. No `except Exception` and no error of ours catches it."""


class KillSwitch:
    """Lets `calls` calls to guarded ports pass, and kills at the next: before or after its effect.

    `calls=None` never kills; `made` counts what passed through, so that a test can try each place.
    """

    def __init__(self, calls: int | None = None, *, after_effect: bool = False) -> None:
        self._calls = calls
        self._after_effect = after_effect
        self.made: list[str] = []

    def guard(self, port: Port) -> Port:
        """The same port, with the switch before each of its methods."""
        guarded: Any = _Guarded(port, self)
        return guarded  # type: ignore[no-any-return]

    def run(self, name: str, call: Callable[[], Any]) -> Any:
        due = self._calls is not None and len(self.made) >= self._calls
        if due and not self._after_effect:
            raise Kill(name)
        result = call()
        self.made.append(name)
        if due:
            raise Kill(name)
        return result


class _Guarded:
    def __init__(self, port: object, switch: KillSwitch) -> None:
        self._port = port
        self._switch = switch

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._port, name)
        if not callable(member):
            return member
        return lambda *args, **kwargs: self._switch.run(name, lambda: member(*args, **kwargs))
