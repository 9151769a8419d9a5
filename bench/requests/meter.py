"""Counts the AWS requests of this process by botocore's own events, with what each consumes.

Install it before the first botocore session: it is added to the handlers that every session gets.
Write units are what the embedded cloud says it has consumed (asked for on each call); its read
units ignore sizes, so those are worked out from what was read (`capacity`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from botocore import handlers

from bench.requests.capacity import items_read, read_units, write_units

_WRITES = frozenset(
    {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"},
)


@dataclass(kw_only=True)
class Made:
    """One request. `service` is botocore's name of it."""

    service: str
    operation: str
    reads: float = 0.0
    writes: float = 0.0
    items: int = 0
    returned: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)


class Meter:
    """There is one for each process: botocore's handlers are global."""

    _installed: ClassVar["Meter | None"] = None

    def __init__(self) -> None:
        self._measured: list[Made] | None = None

    @classmethod
    def installed(cls) -> "Meter":
        if cls._installed is None:
            cls._installed = meter = cls()
            handlers.BUILTIN_HANDLERS.extend(
                [
                    ("before-parameter-build.dynamodb", meter._ask_for_capacity),
                    ("before-call", meter._before),
                    ("after-call", meter._after),
                ]
            )
        return cls._installed

    @contextmanager
    def measuring(self) -> Iterator[list[Made]]:
        """The requests made within the block, in order."""
        made: list[Made] = []
        self._measured = made
        try:
            yield made
        finally:
            self._measured = None

    def _ask_for_capacity(self, params: dict[str, Any], model: Any, context: Any, **_: Any) -> None:
        if self._measured is None:
            return
        if "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "INDEXES"
        context["bench_parameters"] = params

    def _before(self, model: Any, context: Any, **_: Any) -> None:
        if self._measured is None:
            return
        made = Made(
            service=str(model.service_model.service_name),
            operation=str(model.name),
            parameters=context.get("bench_parameters", {}),
        )
        self._measured.append(made)
        context["bench_made"] = made

    def _after(self, parsed: dict[str, Any], context: Any, **_: Any) -> None:
        made: Made | None = context.get("bench_made")
        if made is None or made.service != "dynamodb":
            return
        if made.operation in _WRITES and "ConsumedCapacity" in parsed:
            made.writes = write_units(parsed["ConsumedCapacity"])
        if "Error" not in parsed:
            made.reads = read_units(made.operation, made.parameters, parsed)
            made.items = items_read(made.operation, parsed)


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What some requests come to."""

    reads: float = 0.0
    writes: float = 0.0
    sqs: float = 0.0

    def __add__(self, other: "Bill") -> "Bill":
        return Bill(
            reads=self.reads + other.reads,
            writes=self.writes + other.writes,
            sqs=self.sqs + other.sqs,
        )

    def times(self, count: float) -> "Bill":
        return Bill(reads=self.reads * count, writes=self.writes * count, sqs=self.sqs * count)


def bill_of(made: Iterable[Made]) -> Bill:
    made = list(made)
    return Bill(
        reads=sum(request.reads for request in made),
        writes=sum(request.writes for request in made),
        sqs=sum(1 for request in made if request.service == "sqs"),
    )


def operations(made: Iterable[Made]) -> str:
    """`TransactWriteItems x 12, Query, …`, in the order of their first."""
    counts = Counter(request.operation for request in made)
    return ", ".join(f"{name} x {n}" if n > 1 else name for name, n in counts.items())
