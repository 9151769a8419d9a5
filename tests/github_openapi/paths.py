"""Find the operation of GitHub's document that a concrete path belongs to."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tests.github_openapi.document import DEFAULT_VERSION, VERSIONS, schema_document

#: Slashes in `/repos/{owner}/{repo}/{what}`.
DEPTH = 4
#: Path parameters that may hold slashes.
DEEP = frozenset({"path", "ref"})


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of one API version, found by a concrete path."""

    version: str
    pointer: str
    definition: dict[str, Any]
    path_parameters: dict[str, str]

    @property
    def name(self) -> str:
        """GitHub's `operationId`, such as `issues/create-comment`."""
        return str(self.definition["operationId"])


def find_operation(method: str, url_path: str, version: str) -> Operation:
    """Find the operation that a concrete path belongs to.

    Raises:
        AssertionError: GitHub's document, as far as we keep it, has no such operation.
    """
    assert version in VERSIONS, f"unknown API version {version!r}"
    # A redirect after a rename names the repository by id; everything behind it is the same.
    path = re.sub(r"^/repositories/\d+", "/repos/o/r", url_path)
    # GitHub lets these two go without their last parameter: the root, the default branch.
    path = re.sub(r"/(contents|tarball)$", r"/\1/", path) if path.count("/") == DEPTH else path
    for template, pattern in _patterns():
        match = pattern.fullmatch(path)
        definition = schema_document(version)["paths"][template].get(method.lower())
        if match and definition:
            pointer = f"/paths/{template.replace('~', '~0').replace('/', '~1')}/{method.lower()}"
            found = {key: unquote(value) for key, value in match.groupdict().items()}
            return Operation(
                version=version, pointer=pointer, definition=definition, path_parameters=found
            )
    raise AssertionError(f"{method} {url_path} is no operation of GitHub's that we know")


@functools.cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Compile the path templates; the most literal come first, as GitHub routes them."""
    templates = sorted(
        schema_document(DEFAULT_VERSION)["paths"],
        key=lambda template: (template.count("{"), -template.count("/")),
    )
    return tuple((template, re.compile(_pattern(template))) for template in templates)


def _pattern(template: str) -> str:
    parts = re.split(r"\{(\w+)\}", template)
    return "".join(
        f"(?P<{part}>{'.*' if part in DEEP else '[^/]+'})" if index % 2 else re.escape(part)
        for index, part in enumerate(parts)
    )
