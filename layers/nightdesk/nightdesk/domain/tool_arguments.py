"""Checks what a model passes to a tool against the tool's own JSON schema.

Only the part of JSON schema that our tools use: an object of strings, integers, booleans and
arrays of strings, with bounds, enumerations and defaults, and no other keys.
"""

from collections.abc import Mapping
from typing import Any

from nightdesk.domain.errors import InvalidInputError

_SHOWN_CHARACTERS = 80


def checked_arguments(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with defaults filled in; null stands for "not given".

    Raises:
        InvalidInputError: says which field, what came and what is allowed; meant for the model.
    """
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    for name in arguments:
        if name not in properties:
            allowed = ", ".join(properties) or "no arguments at all"
            raise InvalidInputError(str(name), f"{_shown(name)} is unknown; allowed: {allowed}")
    checked: dict[str, Any] = {}
    for name, rule in properties.items():
        value = arguments.get(name)
        if value is None:
            if name in schema.get("required", ()):
                raise InvalidInputError(name, f"{name} is missing; allowed: {_allowed(rule)}")
            checked[name] = rule.get("default")
        elif _fits(rule, value):
            checked[name] = int(value) if rule["type"] == "integer" else value
        else:
            message = f"{name}: {_shown(value)} is not allowed; allowed: {_allowed(rule)}"
            raise InvalidInputError(name, message)
    return checked


def _fits(rule: Mapping[str, Any], value: Any) -> bool:
    if "enum" in rule and value not in rule["enum"]:
        return False
    match rule["type"]:
        case "string":
            longest = rule.get("maxLength", float("inf"))
            return isinstance(value, str) and rule.get("minLength", 0) <= len(value) <= longest
        case "integer":
            return _is_whole(value) and rule["minimum"] <= value <= rule["maximum"]
        case "boolean":
            return isinstance(value, bool)
        case "array":
            most = rule.get("maxItems", float("inf"))
            return (
                isinstance(value, list)
                and len(value) <= most
                and all(_fits(rule["items"], item) for item in value)
            )
        case kind:
            raise AssertionError(f"no check for the schema type {kind}")


def _is_whole(value: Any) -> bool:
    # JSON has one kind of number, so that 10.0 is the integer 10; true and false are none.
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _allowed(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return "one of " + ", ".join(map(str, rule["enum"]))
    match rule["type"]:
        case "string":
            return f"a string of {rule.get('minLength', 0)} to {rule['maxLength']} characters"
        case "integer":
            return f"an integer from {rule['minimum']} to {rule['maximum']}"
        case "array":
            return f"a list of at most {rule['maxItems']} items, each {_allowed(rule['items'])}"
        case kind:
            return "true or false" if kind == "boolean" else str(kind)


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "..."
