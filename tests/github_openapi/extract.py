"""Reduce GitHub's OpenAPI document to the operations that Nightdesk uses.

Usage: `npm pack @octokit/openapi && tar xzf octokit-openapi-*.tgz`, then
`python -m tests.github_openapi.extract package`. It writes `api.github.com.extract.json`
beside itself; the package's licence is in `LICENSE.octokit-openapi`. What is kept is kept word
for word, apart from prose and examples.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.github_openapi.operations import EXTRA_SCHEMAS, OPERATIONS

EXTRACT = Path(__file__).parent / "api.github.com.extract.json"
#: Keywords that hold prose; below `properties` and `patch` the same words are field names.
PROSE = frozenset(
    {"description", "example", "examples", "externalDocs", "tags", "summary", "operationId"}
)
NAME_MAPS = frozenset({"properties", "schemas", "patch"})
COMPONENT = "#/components/"


def without_prose(node: Any, *, keys_are_names: bool = False) -> Any:
    """Drop descriptions and examples, but never a property that is called `description`."""
    if isinstance(node, dict):
        return {
            key: without_prose(value, keys_are_names=key in NAME_MAPS)
            for key, value in node.items()
            if keys_are_names or key not in PROSE
        }
    if isinstance(node, list):
        return [without_prose(item) for item in node]
    return node


def references(node: Any) -> Iterator[str]:
    """Yield every `$ref` below a node."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def closure(document: dict[str, Any], roots: Any) -> dict[str, dict[str, Any]]:
    """Collect the components that the roots need, directly or through others."""
    kept: dict[str, dict[str, Any]] = {}
    pending = [
        *references(roots),
        *(f"{COMPONENT}schemas/{name}" for name in EXTRA_SCHEMAS),
    ]
    while pending:
        kind, name = pending.pop().removeprefix(COMPONENT).split("/", 1)
        if name in kept.setdefault(kind, {}):
            continue
        kept[kind][name] = without_prose(document["components"][kind][name])
        pending.extend(references(kept[kind][name]))
    return {kind: dict(sorted(named.items())) for kind, named in sorted(kept.items())}


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Take the listed operations, each with its `operationId` and documentation address."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path in OPERATIONS:
        whole = document["paths"][path][method]
        reduced = without_prose(whole)
        reduced["operationId"] = whole["operationId"]
        reduced["externalDocs"] = {"url": whole["externalDocs"]["url"]}
        reduced.pop("x-github", None)
        paths.setdefault(path, {})[method] = reduced
    return paths


def extract(document: dict[str, Any], package: dict[str, Any]) -> dict[str, Any]:
    """Build the reduced document, with the package's name, version and licence in `info`."""
    paths = operations(document)
    return {
        "openapi": document["openapi"],
        "info": {
            "title": "GitHub REST API, reduced to the operations that Nightdesk uses",
            "version": package["version"],
            "x-source": f"npm package {package['name']} {package['version']}",
            "license": {"name": f"{package['license']}, Copyright (c) 2020 Octokit contributors"},
        },
        "paths": paths,
        "components": closure(document, paths),
    }


def main() -> None:
    """Write the extract of an unpacked npm package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, help="folder of the unpacked @octokit/openapi")
    folder: Path = parser.parse_args().package
    package = json.loads((folder / "package.json").read_text())
    document = json.loads((folder / "generated" / "api.github.com.json").read_text())
    # One space of indent: a new version of the package can be read as a diff.
    text = json.dumps(extract(document, package), indent=1, sort_keys=True)
    EXTRACT.write_text(text + "\n")


if __name__ == "__main__":
    main()
