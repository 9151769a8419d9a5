"""What DynamoDB bills for a request, by its rules; sizes in bytes, units as on the bill.

Writes: one unit for each KB of the item begun, twice that in a transaction; an index costs what
its own entry costs, once, and nothing when the entry stays as it is. Reads: one unit for each 4 KB
begun, half of it when eventually consistent; a query rounds up its sum, a batch each item.
"""

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any

Item = Mapping[str, Mapping[str, Any]]

_READ_BLOCK, _WRITE_BLOCK = 4096, 1024


def item_size(item: Item) -> int:
    """Names and values; a number is a byte and one for each two digits (DynamoDB's item sizes)."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    (kind, content), *_ = value.items()
    match kind:
        case "S":
            return len(str(content).encode())
        case "B":
            return len(bytes(content))
        case "N":
            digits = str(content).lstrip("-").replace(".", "").strip("0") or "0"
            return 1 + ceil(len(digits) / 2) + str(content).startswith("-")
        case "BOOL" | "NULL":
            return 1
        case _:
            raise ValueError(f"our tables hold no {kind}")


def read_units(operation: str, request: Mapping[str, Any], answer: Mapping[str, Any]) -> float:
    """0 for what does not read."""
    match operation:
        case "GetItem":
            size = item_size(answer.get("Item") or {})
            return _units(size, consistent=bool(request.get("ConsistentRead")))
        case "Query" | "Scan":
            size = sum(map(item_size, answer.get("Items") or ()))
            return _units(size, consistent=bool(request.get("ConsistentRead")))
        case "BatchGetItem":
            return sum(
                _units(size, consistent=bool(asked.get("ConsistentRead")))
                for table, asked in request["RequestItems"].items()
                for size in _sizes(asked["Keys"], answer["Responses"].get(table, ()))
            )
        case _:
            return 0.0


def items_read(operation: str, answer: Mapping[str, Any]) -> int:
    """Items that DynamoDB had to look at, found or not filtered out."""
    match operation:
        case "GetItem":
            return int("Item" in answer)
        case "Query" | "Scan":
            return int(answer["ScannedCount"])
        case "BatchGetItem":
            return sum(len(items) for items in answer["Responses"].values())
        case _:
            return 0


def write_units(consumed: Any) -> float:
    """The sum of `ConsumedCapacity`, which is one object or a list of them."""
    entries = consumed if isinstance(consumed, list) else [consumed]
    return sum(float(entry["CapacityUnits"]) for entry in entries)


def _sizes(keys: Iterable[Any], items: Iterable[Item]) -> list[int]:
    """One for each key; what is not there costs as much as the smallest item."""
    sizes = [item_size(item) for item in items]
    return sizes + [0] * (len(list(keys)) - len(sizes))


def _units(size: int, *, consistent: bool) -> float:
    return max(1, ceil(size / _READ_BLOCK)) * (1.0 if consistent else 0.5)
