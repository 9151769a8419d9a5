"""Values of a file that people write: read, or refused in one sentence that says why."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from nightdesk.domain.errors import NightdeskError
from nightdesk.domain.name_filter import NameFilter, NamePatternError, check_patterns

#: Labels, patterns and names in one list.
LIST_MAX = 50

_Choice = TypeVar("_Choice", bound=StrEnum)


class DocumentError(NightdeskError):
    """The file cannot be used; the message names key, value and what is allowed."""


def known(
    keys: Mapping[Any, Any],
    allowed: Sequence[str],
    within: str,
    spellings: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The keys in one spelling. A key that nobody knows is an error, not a surprise later."""
    found: dict[str, Any] = {}
    for written, value in keys.items():
        key = (spellings or {}).get(written, written) if isinstance(written, str) else written
        if key not in allowed:
            raise DocumentError(f"unknown key {within}{written}; allowed: {listed(allowed)}")
        if key in found:
            raise DocumentError(f"key {within}{key} is given twice, also as {written}")
        found[key] = value
    return found


def mapping(key: str, value: Any) -> Mapping[Any, Any]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    raise refused(key, value, "a mapping of keys to values")


def listed(allowed: Iterable[object]) -> str:
    return ", ".join(str(item) for item in allowed)


def refused(key: str, value: Any, allowed: str) -> DocumentError:
    shown = repr(value)
    if len(shown) > 60:  # noqa: PLR2004 - enough to find it in the file
        shown = f"{shown[:60]}…"
    return DocumentError(f"key {key}: {shown} is not allowed; allowed: {allowed}")


def text(key: str, value: Any, longest: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise refused(key, value, "text")
    if len(value) > longest:
        raise DocumentError(f"key {key}: {len(value)} characters; allowed: at most {longest}")
    return value.strip()


def required_text(key: str, value: Any, longest: int) -> str:
    found = text(key, value, longest)
    if not found:
        raise DocumentError(f"key {key} is missing; allowed: 1 to {longest} characters")
    return found


def choice(
    key: str,
    value: Any,
    allowed: type[_Choice],
    default: _Choice,
    fold: Callable[[str], str] = str.lower,
) -> _Choice:
    if value is None:
        return default
    if isinstance(value, str) and fold(value) in set(allowed):
        return allowed(fold(value))
    raise refused(key, value, listed(allowed))


def integer(key: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise refused(key, value, f"a whole number from {least} to {most}")


def flag(key: str, value: Any, *, default: bool = True) -> bool:
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    raise refused(key, value, "true, false")


def names(
    key: str,
    value: Any,
    allowed: Sequence[str],
    default: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """A list of allowed names, each once, in its order; one name may stand alone."""
    if value is None:
        return default
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list):
        raise refused(key, value, f"a list of {listed(allowed)}")
    for name in found:
        if name not in allowed:
            raise refused(key, name, listed(allowed))
    return tuple(dict.fromkeys(found))


def labels(key: str, value: Any) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if found is None:
        return ()
    if not isinstance(found, list) or len(found) > LIST_MAX:
        raise refused(key, value, f"a list of at most {LIST_MAX} labels")
    for label in found:
        # GitHub's own limit is 50 characters.
        if not isinstance(label, str) or not 0 < len(label.strip()) <= 50:  # noqa: PLR2004
            raise refused(key, label, "a label of 1 to 50 characters")
    return tuple(dict.fromkeys(label.strip() for label in found))


def patterns(key: str, value: Any, *, negated: bool = False) -> NameFilter | None:
    """A filter of names, such as [main, "release/**", "!release/old"]; None = no such key.

    `negated`: the key itself leaves out what the patterns name, as `paths-ignore` does.
    """
    if value is None:
        return None
    found = [value] if isinstance(value, str) else value
    is_list = isinstance(found, list) and 0 < len(found) <= LIST_MAX
    if not is_list or not all(isinstance(pattern, str) for pattern in found):
        raise refused(key, value, f"a list of 1 to {LIST_MAX} patterns, such as release/*")
    try:
        check_patterns(found)
    except NamePatternError as error:
        raise DocumentError(f"key {key}: {error}") from error
    if negated and any(pattern.startswith("!") for pattern in found):
        raise refused(key, value, "patterns without !, since the key leaves out what they name")
    read = NameFilter(tuple(found))
    if read.includes_nothing:
        raise refused(key, value, "one pattern at least that does not begin with !")
    return read
